SELECT SUM(DISTINCT singer_name) FROM singer
SELECT location FROM stadium WHERE capacity > 50000000000000000000000000000000000000000000000000000000
SELECT id FROM student WHERE student.name = 'F'
SELECT id FROM student WHERE stuid = 'Fid'
SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < 'Pet')
SELECT stuid FROM student WHERE student.name = 'L'
SELECT COUNT(*) FROM car
SELECT model_name, model_name FROM car_list JOIN model ON car_list.model_name = model.model_name JOIN car ON car_name = car_model.model_name JOIN model ON car_name = model.model_name JOIN car ON car_name
SELECT model_name FROM car_lists JOIN model ON car_lists.model_name = model.model_name JOIN car ON car_name = car_lists.model_name GROUP BY car_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT make_name FROM car_name WHERE year = 'M.year'
SELECT DISTINCT car_model FROM car_name JOIN model ON car_name = 'car'
SELECT MAX(make) FROM car_name
SELECT AVG(weight) FROM cars
SELECT COUNT(*) FROM cars
SELECT COUNT(*) FROM car
SELECT name FROM car_id WHERE model_name = '33333'
SELECT COUNT(*) FROM airlines WHERE country = 'United States'
SELECT COUNT(DISTINCT city.city_code) FROM airports JOIN airports ON airports.city_code = airports.city_code WHERE city.city_code = 'Aair'
SELECT COUNT(*) FROM airports WHERE airport.code = 'Aair'
SELECT COUNT(*) FROM airlines
SELECT flight.source FROM flights WHERE airport_code = 'A airport'
SELECT COUNT(DISTINCT city.city_code) FROM airports WHERE city = 'A'
SELECT city FROM employee WHERE age < 10
SELECT name FROM employee JOIN shop ON employee.shop_id = shop.shop_id WHERE shop_name = 'German'
SELECT shop_name, name FROM shop JOIN employee ON shop_id = employee.employee_id GROUP BY shop_id
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id GROUP BY document_name
SELECT COUNT(*) FROM documents_type_code WHERE document_type_code = 'PptP_code'
SELECT COUNT(*) FROM ref_type
SELECT DISTINCT template_type_code FROM template_type_code WHERE template_type_code = 'Punk_code'
SELECT template_number FROM ref_number WHERE template_number = 5
SELECT template_type_code FROM template_type_code WHERE template_type_code = '333'
SELECT document_type_code FROM documents WHERE document_type_code = 'Data'
SELECT template_type_code FROM documents WHERE type_type_code = 'VHAVING COUNT(*) FROM documents JOIN ref_type_code ON documents.document_type_code = ref_type_code WHERE document_type_code = 'VHAVING COUNT(*) FROM
SELECT DISTINCT paragraph_type FROM paragraph GROUP BY paragraph_type HAVING COUNT(*) >= 1
SELECT teachers.name FROM teacher GROUP BY teachers.name
SELECT COUNT(DISTINCT player.lname) FROM player
SELECT winery FROM player WHERE winery = 'Liquid'
SELECT player.country FROM player JOIN rankings ON player.country_id = rankings.country_id GROUP BY player.country_id HAVING COUNT(*) > 1
SELECT birth_date, birth_date FROM player
SELECT name FROM player_rank JOIN match_rankings ON player.match_rank = match_rankings.match_rankings = match_rankings.match_rankings
SELECT match_rank FROM player_rank WHERE match_ranked = 'Liquid'
SELECT DISTINCT battle_comm.b_commid FROM battle_commings JOIN ship ON battle.b_id = 'Kalberland'
SELECT name FROM battle_commision GROUP BY name
SELECT COUNT(DISTINCT degrees_department_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_
SELECT name FROM semester JOIN student ON student.stm = student.stm_id WHERE semester = 'semia'
SELECT * FROM degree WHERE semester = '2012'
SELECT course.course_name, course.course_name FROM courses JOIN student ON courses.course_id = student.course_id WHERE course.course_name = 'course'
SELECT student_name FROM student_rol_name JOIN student ON student_name = student_rol_rol.student_id
SELECT address_address FROM addresses JOIN addresses ON addresses.address_id = addresses.address_id WHERE addresses.address_id = 'A'
SELECT AVG(DISTINCT transcript_date) FROM transcript
SELECT date_date, transcript.first_date, transcript_contents FROM transcript
SELECT date_date, transcript_date FROM transcript GROUP BY transcript_date ORDER BY COUNT(*) DESC LIMIT 1
SELECT h_name FROM addresses WHERE address_name = 'hpll_name'
SELECT t_name FROM t_channel WHERE t = '3'
SELECT * FROM tv_channel WHERE hours = 'A'
SELECT channel_name FROM tv_channel WHERE channel_name = 'Sky'
SELECT * FROM tv_channel WHERE t_name = 'Sky'
SELECT country FROM cartoon_by WHERE category.category = 'Tale'
SELECT * FROM channel_channel WHERE channel_name = 'english'
SELECT money_ranked, poker_rank FROM poker_player ORDER BY earnings_rank LIMIT 1
SELECT name FROM people ORDER BY people_name
SELECT area_code FROM area_code WHERE area_code = 'Kestrate'
SELECT country.name FROM country WHERE country = 'Asia'
SELECT population FROM country WHERE population = 'Asia' AND population = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT SUM(country.country) FROM country WHERE country = 'Asia'
SELECT COUNT(DISTINCT country.country) FROM city WHERE country = 'DESCribes'
SELECT SUM(DISTINCT country.name) FROM country JOIN country ON country.country_code = country.country_code GROUP BY country.country_code HAVING COUNT(*) >= 1
SELECT country.name FROM city WHERE country = 'english'
SELECT country.country FROM country WHERE country = 'Europe'
SELECT name FROM country WHERE country = 'Dipiscoies'
SELECT population FROM country WHERE country = '3' AND country = '3'
SELECT SUM(DISTINCT country.country) FROM country WHERE country = 'DESCribes'
SELECT COUNT(*) FROM conductor
SELECT name FROM conductor GROUP BY name
SELECT company, founded FROM performance GROUP BY founded ORDER BY COUNT(*) DESC
SELECT name FROM orchestra GROUP BY name
SELECT name FROM orchestra WHERE year = 2000
SELECT performance.year FROM performance GROUP BY performance.year ORDER BY COUNT(*) DESC LIMIT 1
SELECT DISTINCT founded_by FROM performance JOIN performance ON performance.performance_by = performance.performance_by GROUP BY performance.year HAVING COUNT(*) >= 2
SELECT name FROM friend WHERE high_id NOT IN (SELECT name FROM friend WHERE high_id NOT IN (SELECT name FROM friend WHERE student_id NOT IN (SELECT MAX(student_id) FROM friend)
SELECT name FROM friend WHERE high_id NOT IN (SELECT MAX(name) FROM friend)
SELECT name FROM friend JOIN student ON friend.friend_id = student.friend_id WHERE student.name = 'J'
SELECT name FROM friend WHERE student_id NOT IN (SELECT name FROM friend WHERE student_id NOT IN (SELECT student.name FROM friend WHERE student_id NOT IN (SELECT student.name FROM friend WHERE student.name = 'Kyle')
SELECT name FROM friend WHERE student_id NOT IN (SELECT MAX(DISTINCT student.name) FROM friend
SELECT AVG(age) FROM treatment
SELECT DISTINCT state_id FROM treatments JOIN departments ON treatments.department_id = departments.department_id GROUP BY department_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT owner.last_name, last_name FROM dog JOIN owners ON dog.last_id = owners.last_id JOIN owners ON dog.last_id = owners.last_id JOIN owners ON dog_id = owners.last_id JOIN owners ON dog_id = owners
SELECT name FROM breeds WHERE name = 'Dews'
SELECT DISTINCT owner_id FROM dog_id JOIN owners ON dog_id = owners.of_id WHERE dog_id NOT IN (SELECT DISTINCT owned_id) FROM dog_id JOIN owners ON dog_id = owners.of_id
SELECT treatment_type_code FROM treatment_type_code WHERE cost > 1
SELECT MAX(zip_code) FROM dog_code JOIN owners ON dog_id = owners.owner_id WHERE dog_code = 'Sony'
SELECT name FROM dog_id WHERE last_name = 'N'
SELECT COUNT(*) FROM treatment
SELECT email_address FROM professional_phone GROUP BY email_address ORDER BY COUNT(*) DESC LIMIT 1
SELECT birth_year, birth FROM singer JOIN song ON singer.song_id = song.sales GROUP BY song.birth_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'Sony'
SELECT name FROM song WHERE net_worth = 'Netto'
SELECT SUM(birth) FROM song
SELECT feature_type_code FROM ref_type_code WHERE feature_type_code = 'Air'
