SELECT SUM(DISTINCT singer) FROM singer
SELECT location FROM stadium WHERE capacity = 20000000000000000000000000000000000000000000000000000000
SELECT id FROM student WHERE student.name = 'F'
SELECT id FROM student WHERE age < (SELECT id FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid
SELECT stuid FROM student WHERE age < 15
SELECT student.name FROM student WHERE student.name = 'L'
SELECT COUNT(*) FROM car
SELECT MIN(horses) FROM model WHERE model_name = 'car'
SELECT model_name FROM car_lists JOIN model ON car_lists.model_name = model.model_name GROUP BY model.model_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT MAX(year) FROM car
SELECT DISTINCT car_model FROM car WHERE car_name = 1998
SELECT MAX(c) FROM car ORDER BY MAX(c) DESC LIMIT 1
SELECT AVG(weight) FROM cars
SELECT COUNT(*) FROM cars
SELECT COUNT(*) FROM car
SELECT name FROM car WHERE 30
SELECT COUNT(*) FROM airlines WHERE country = 'US'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM airlines WHERE airlines.transactions = 200
SELECT flight.source FROM flights WHERE airport = 'A' AND flight.sourcecode = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT city FROM employee WHERE age < 10
SELECT name FROM employee WHERE name = 'L'
SELECT shop_name, name FROM shop JOIN employee ON shop.id = employee.id GROUP BY shop_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id GROUP BY document_name
SELECT COUNT(*) FROM documents WHERE document_type_code = 'Ppt'
SELECT COUNT(*) FROM ref_type
SELECT DISTINCT template_type_code FROM ref_type_code WHERE template_type_code = 'Punk_type'
SELECT * FROM template_number WHERE template_number = 5
SELECT template_type_code FROM ref_type_code WHERE template_type_code = '3'
SELECT document_name FROM documents WHERE document_name = 'Data'
SELECT * FROM documents WHERE type_type_code = 'F'
SELECT DISTINCT paragraph_type FROM paragraph GROUP BY paragraph_id
SELECT teachers.name FROM course JOIN teacher ON course.course_id = teacher.course_id WHERE course.name = 'Atlanta'
SELECT COUNT(*) FROM player
SELECT name FROM player WHERE winery = 2013 OR winery = 2013
SELECT player.country FROM player JOIN rankings ON player.player_id = rankings.rank_code GROUP BY player.country_id HAVING COUNT(*) > 1
SELECT DISTINCT born_date FROM player
SELECT name FROM player ORDER BY youngest_rank DESC LIMIT 3
SELECT player_name FROM player WHERE match_ranked = 'L'
SELECT DISTINCT battle_name FROM battle_commid JOIN ship ON battle.id = 'K'
SELECT name FROM battle_name WHERE state_in_name = 'English'
SELECT COUNT(*) FROM student
SELECT name FROM student WHERE semester = 'SUM(s) FROM student
SELECT * FROM degree WHERE semester = 2000
SELECT course.course_name, course.course_id FROM courses JOIN student ON courses.course_id = student.course_id WHERE course.course_id = 'course'
SELECT student_name FROM student WHERE student_name = 'Middle'
SELECT address_address FROM addresses JOIN addresses ON addresses.address_id = addresses.address_id WHERE addresses.address_id = 'A'
SELECT AVG(DISTINCT transcript_date) FROM transcript
SELECT date_id FROM transcript WHERE first_id NOT IN (SELECT date_id FROM transcript)
SELECT date_id, transcript_date FROM transcript GROUP BY transcript.name
SELECT h_name FROM addresses WHERE address = 'h'
SELECT * FROM tv_channel WHERE (3) FROM tv_channel
SELECT * FROM tv WHERE state = 'A'
SELECT channel_name FROM tv_channel WHERE (SELECT channel_name FROM tv_channel WHERE channel_name = 'Sky')
SELECT * FROM tv_channel WHERE t_name = 'Sky'
SELECT country FROM cartoon WHERE category = 'T'
SELECT * FROM channel WHERE channel_of_channel_id NOT IN (SELECT channel_name FROM channel_to_channel)
SELECT * FROM people WHERE people.people_id = 'poker'
SELECT name FROM people WHERE people.name = 'Pox'
SELECT area_code FROM area WHERE area_code = 'Kelly'
SELECT country.name FROM country WHERE country = 'Asia'
SELECT population FROM country WHERE population = 'Asia' AND population = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT SUM(country.country) FROM country WHERE country = 'Asia'
SELECT COUNT(DISTINCT country.country) FROM city WHERE country = 'DISTINCT country'
SELECT SUM(name) FROM country WHERE country = 'A'
SELECT country.name FROM city WHERE country = 'english'
SELECT country.country FROM country WHERE country = 'Europe'
SELECT name FROM country WHERE country = 'Dip-in-state'
SELECT population FROM country WHERE country = '3' AND country.country = '3'
SELECT SUM(country) FROM country WHERE country = 'SUM(S) FROM country WHERE country = 'SUM(SUM(S) FROM country WHERE country = 'SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(
SELECT COUNT(*) FROM conductor
SELECT name FROM conductor WHERE age < (SELECT name FROM conductor)
SELECT company, founded FROM performance GROUP BY founded ORDER BY COUNT(*) DESC LIMIT 1
SELECT name FROM orchestra GROUP BY name ORDER BY COUNT(*) DESC LIMIT 1
SELECT name FROM orchestra WHERE year = 2000 AND 2000 AND 2000 AND 2000 AND 2000 AND 2000 AND 2000 AND 2000 AND 2000 AND 10
SELECT performance.year FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.year = 1 AND performance.year = 10
SELECT DISTINCT founded FROM performance GROUP BY founded ORDER BY COUNT(*) DESC LIMIT 1
SELECT name FROM student WHERE high_id NOT IN (SELECT name FROM student WHERE student.name = 'J'
SELECT name FROM friend WHERE high_id NOT IN (SELECT MAX() FROM friend)
SELECT name FROM friend WHERE high_id NOT IN (SELECT name FROM friend WHERE student.name = 3
SELECT name FROM friend WHERE student.name = 'K'
SELECT name FROM student WHERE student_id NOT IN (SELECT MAX() FROM student)
SELECT AVG(age) FROM treatments
SELECT DISTINCT state_id FROM treatments JOIN departments ON treatments.id = departments.department_id WHERE state = 'Dance' AND state = 'Dance'
SELECT owner.name FROM dog JOIN owners ON dog.id = owners.name JOIN owners ON dog.id = owners.name JOIN owners ON dog._id = owners.name JOIN owners ON dog._id = owners.name GROUP BY owners.name ORDER BY COUNT(*
SELECT name FROM breeds WHERE name = 'B. ' ' ' '' '' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' ' '' AND ' ' AND ' ' AND ' ' AND ' ' AND ' ' AND ' ' AND '
SELECT DISTINCT owner.last_name, last_name FROM dog JOIN owners ON dog._id = owners._id WHERE last_name = 'N'
SELECT treatment_type_code FROM treatment WHERE cost > 10
SELECT MAX(zip_code) FROM dog_id WHERE total_of_people.total_id = 'L'
SELECT name FROM owner WHERE last_name = 'N'
SELECT COUNT(*) FROM treatment
SELECT email_address FROM professional_phone GROUP BY email_address ORDER BY COUNT(*) DESC LIMIT 1
SELECT birth_id FROM singer WHERE birth_year = 'Sony'
SELECT name FROM song WHERE citizenship = 'Sony'
SELECT name FROM song WHERE net_id NOT IN (SELECT MAX(net) FROM song WHERE net_worth)
SELECT SUM(birth) FROM song WHERE year = 1955 AND year = 1955
SELECT COUNT(*) FROM ref_type
