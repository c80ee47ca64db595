SELECT SUM(DISTINCT singer) FROM singer
SELECT location FROM stadium WHERE capacity = 20000000000000000000000000000000000000000000000000000000
SELECT id, COUNT(*) FROM student
SELECT id FROM student WHERE age < (SELECT id FROM student WHERE age < (SELECT id FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM
SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < 1)
SELECT student.fname FROM student JOIN student ON student.stuid = student.stuid WHERE student.fname = 'A'
SELECT COUNT(*) FROM car
SELECT model_name, model_name FROM car JOIN model ON car_name = model.model_name JOIN model ON car_name = model.model_name JOIN car ON car_name = car.model_name JOIN model ON car_name = model.model_name JOIN
SELECT model_name, COUNT(*) FROM car
SELECT make_name FROM car WHERE year = 12
SELECT DISTINCT car_model FROM car JOIN model ON car_list.model_name = model_names.model_name GROUP BY model.model_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT MAX(make) FROM car ORDER BY acceleration BY MAX(make) DESC LIMIT 1
SELECT AVG(weight) FROM cars
SELECT COUNT(*) FROM cars
SELECT COUNT(*) FROM car
SELECT name FROM car WHERE model_name = '3'
SELECT COUNT(*) FROM airlines WHERE country = 'United States'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM airlines
SELECT flight.source, COUNT(*) FROM flights WHERE airport.sourcecode = 'A' AND airport.sourcecode = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT city FROM employee WHERE age < 10
SELECT name FROM employee JOIN shop ON employee.id = shop.id WHERE shop.name = 'German'
SELECT shop_name, name FROM shop JOIN employee ON shop_id = employee.employee_id WHERE shop_name = 'Shops'
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id GROUP BY document_name
SELECT COUNT(*) FROM documents JOIN ref_type_code ON documents.document_type_code = ref_type_code WHERE document_type_code = 'Ppt'
SELECT COUNT(*) FROM ref_type
SELECT DISTINCT template_type_code FROM template_type_code WHERE template_type_code = 'PPP_type'
SELECT template_number, template_code FROM ref_type_code WHERE template_number = 5
SELECT template_type_code FROM template_type_code WHERE template_type_code = '3'
SELECT document_type_code FROM documents WHERE document_name = 'Data'
SELECT type_type_code FROM documents WHERE type_type_code = 'Village'
SELECT DISTINCT paragraph_type FROM paragraph GROUP BY paragraph_id
SELECT teachers.name FROM course JOIN teacher ON course.course_id = teacher.course_id WHERE course.name = 'Atlanta'
SELECT COUNT(*) FROM player
SELECT name FROM player WHERE player_name = 2013
SELECT player_code FROM player JOIN rankings ON player.player_id = rankings.rank_code GROUP BY player.country ORDER BY COUNT(*) DESC LIMIT 1
SELECT DISTINCT born_date, birth_date FROM player
SELECT name FROM player ORDER BY youngest_rank DESC LIMIT 3
SELECT player_name FROM player WHERE match_ranked = 'Liquid'
SELECT DISTINCT battle_comm.bil_name FROM battle_commid JOIN ship ON battle.b_id = ship_comm.b_id WHERE battle_commands.b_in_commid = 'Kalberton'
SELECT name FROM battle_commisions WHERE state_in_bilions = 'English'
SELECT COUNT(*) FROM student
SELECT name FROM student WHERE semester = 'Spring' AND semester = 'Spring'
SELECT * FROM degree WHERE degree_name = 20
SELECT course.course_name, course.course_id FROM courses JOIN student ON courses.course_id = student.course_id WHERE course.course_id = 'course'
SELECT student_name FROM student WHERE student_name = 'M.milling'
SELECT address_address FROM addresses JOIN students ON addresses.address_id = addresses.address_id GROUP BY addresses.address_id HAVING COUNT(*) >= 1
SELECT AVG(DISTINCT transcript_date) FROM transcript
SELECT date_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date
SELECT date_id, transcript_date FROM transcript JOIN transcripts ON transcript.transcript_id = transcripts.transcript_id JOIN transcript ON transcript.transcript_id = transcript.transcript_id JOIN transcripts ON transcript.transcript_id = transcripts.transcript_id WHERE transcript_id = 'Alme'
SELECT hm_name, section_name FROM addresses JOIN addresses ON addresses.address_id = addresses.address_id GROUP BY address.address_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT t_name FROM t_channel WHERE t_id NOT IN (3) AND t_channel_name = '3'
SELECT show_rank FROM tv WHERE state = 'A'
SELECT channel_name FROM channel WHERE channel_name = 'Sky'
SELECT * FROM tv_channel WHERE t_name = 'Sky'
SELECT country FROM cartoon WHERE category = 'Tale'
SELECT * FROM channel WHERE channel_of_channel_ratio = 'English'
SELECT money_rank FROM people WHERE people.people_id NOT IN (SELECT money_rank FROM people)
SELECT name FROM people WHERE people.name = 'Pox'
SELECT area_code FROM area_code WHERE area_code = 'Kelly'
SELECT country.name FROM country WHERE country = 'Asia'
SELECT population FROM country WHERE population = 'Asia' AND population = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT SUM(country) FROM country WHERE country = 'Asia'
SELECT COUNT(DISTINCT country.country) FROM city WHERE country = 'Dutch'
SELECT SUM(name) FROM country WHERE country = 'A'
SELECT country.name FROM city WHERE country = 'english'
SELECT country.country FROM country WHERE country = 'Europe'
SELECT name FROM country WHERE country = 'Independence'
SELECT population FROM country WHERE country = '3' AND country = '3'
SELECT SUM(percentage) FROM country WHERE country = 'Spanish'
SELECT COUNT(*) FROM conductor
SELECT name FROM conductor WHERE age < (SELECT name FROM conductor)
SELECT company, founded FROM orchestra ORDER BY founded ASC
SELECT name FROM orchestra GROUP BY name ORDER BY COUNT(*) DESC LIMIT 1
SELECT name FROM orchestra WHERE year = 2008 ORDER BY year DESC LIMIT 2000
SELECT performance.year, performance.year FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.year = 1 AND performance.year = 10
SELECT DISTINCT founded FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.year = 1000
SELECT name FROM friend WHERE high_id NOT IN (SELECT name FROM friend WHERE high_id NOT IN (SELECT MAX(grade) FROM friend)
SELECT name FROM friend WHERE high_id NOT IN (SELECT MAX(friend) FROM friend)
SELECT name FROM friend JOIN student ON friend.id = student.id WHERE student.name = 3
SELECT name FROM friend WHERE student.name = 'K'
SELECT name FROM friend WHERE high_id NOT IN (SELECT MAX(friend) FROM friend)
SELECT AVG(age) FROM treatments
SELECT DISTINCT state_id FROM treatments JOIN departments ON treatments.department_id = departments.department_id WHERE state_id = 'Indian'
SELECT owner.last_name, last_name FROM dog JOIN owners ON dog.last_id = owners.last_id JOIN owners ON employees.owner_id = owners.owner_id GROUP BY owners.owner_id HAVING COUNT(*) > 1
SELECT name FROM breeds WHERE name = 'Bendre-french'
SELECT DISTINCT owner_id FROM dog JOIN owners ON dog.id = owners.owner_id WHERE dog_id = 'N'
SELECT treatment_type_code, COUNT(*) FROM treatment
SELECT MAX(zip_code) FROM dog_id WHERE total_id NOT IN (SELECT MAX(total_id) FROM dog_id WHERE total_id NOT IN (SELECT total_id FROM dog_id WHERE total_id NOT IN (SELECT total_id FROM dog_id WHERE total_id NOT
SELECT owner.name FROM dog_id JOIN owners ON dog_id = owners.name GROUP BY owner.name ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM treatment
SELECT email_address FROM professional_phone GROUP BY email_address ORDER BY COUNT(*) DESC LIMIT 1
SELECT birth_year, birth FROM singer JOIN song ON singer.song_id = song.song_id WHERE song.name = 'Birth' AND song.birth_year = 'Sony'
SELECT name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'Sony' AND song.name = 'Sony'
SELECT name FROM singer WHERE net_worth = 'Net'
SELECT SUM(birth) FROM song JOIN song ON song.song_id = song.song_id WHERE song.birth_year = 1955
SELECT feature_type_code, feature_type_code FROM ref_type_code JOIN other_features ON ref_type_code = 'Air'
