SELECT SUM(DISTINCT singer) FROM singer
SELECT location FROM stadium WHERE capacity = 20000000000000000000000000000000000000000000000000000000
SELECT id FROM student WHERE student.name = 'F'
SELECT id FROM student WHERE age < (SELECT id FROM student WHERE age < (SELECT id FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM
SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < 1)
SELECT student.fname FROM student WHERE student.name = 'L'
SELECT COUNT(*) FROM car
SELECT model_name FROM model WHERE model_name = 'car'
SELECT model_name FROM car WHERE weight < (SELECT AVG(weight) FROM car)
SELECT MAX(year) FROM car
SELECT DISTINCT car_name FROM car ORDER BY DESC LIMIT 1
SELECT MAX(make) FROM car ORDER BY acceleration BY MAX(make) DESC LIMIT 1
SELECT AVG(weight) FROM cars
SELECT COUNT(*) FROM cars
SELECT COUNT(*) FROM car
SELECT name FROM car WHERE 30
SELECT COUNT(*) FROM airlines WHERE country = 'United States'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM airlines WHERE airlines = 200
SELECT flight.source, COUNT(*) FROM flights WHERE airport = 'A' AND airport.sourcecode = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT city FROM employee WHERE age < 10
SELECT name FROM employee WHERE name = 'L'
SELECT shop_name FROM shop WHERE employment_name = 'Shops'
SELECT COUNT(*) FROM documents WHERE document_name = 'OS'
SELECT COUNT(*) FROM documents WHERE document_type_code = 'Ppt'
SELECT COUNT(*) FROM ref_type
SELECT DISTINCT template_type_code FROM template_type_code WHERE template_type_code = 'PPP_code'
SELECT * FROM template_type_code WHERE template_type_code = 5
SELECT template_type_code FROM template_type_code WHERE template_type_code = '3'
SELECT document_type FROM documents WHERE document_name = 'Data'
SELECT type_code FROM documents WHERE type_type_code = 'VL'
SELECT DISTINCT paragraph_type FROM paragraph GROUP BY paragraph_id
SELECT teachers.name FROM teacher GROUP BY teachers.name
SELECT COUNT(*) FROM player
SELECT name FROM player WHERE player_name = 2013 ORDER BY player_name
SELECT player.country FROM player JOIN rankings ON player.country_id = rankings.country_id GROUP BY player.country ORDER BY COUNT(*) DESC LIMIT 1
SELECT DISTINCT born_date FROM player
SELECT name FROM player ORDER BY youngest_rank DESC LIMIT 3
SELECT country FROM player WHERE match_ranked = 'L'
SELECT DISTINCT battle_comm.bil_name FROM battle JOIN ship ON battle.b_id = ship.b_id WHERE battle.b_name = 'Kal'
SELECT name FROM battle WHERE state = 'English'
SELECT COUNT(DISTINCT degrees_name) FROM student
SELECT name FROM student WHERE semester = 'Spring' AND semester = 'Spring'
SELECT * FROM degree WHERE degree_name = 20
SELECT course.course_name, course.course_id FROM courses JOIN student ON courses.course_id = student.course_id WHERE course.course_id = 'course'
SELECT student_name FROM student WHERE student_name = 'Middle'
SELECT address_address FROM addresses WHERE addresses_addresses = 'A'
SELECT AVG(DISTINCT transcript_date) FROM transcript
SELECT date_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date
SELECT date_date, transcript.date_id FROM transcript GROUP BY transcript.name
SELECT hu_name FROM addresses WHERE address = 'h'
SELECT t1 FROM t2 WHERE t3 = '3'
SELECT * FROM tv WHERE state = 'A'
SELECT channel_name FROM channel WHERE channel_name = 'Sky'
SELECT * FROM tv WHERE t_name = 'Sky'
SELECT country FROM cartoon WHERE category = 'T'
SELECT * FROM channels WHERE channel_of_channel = 'english'
SELECT money_rank FROM people WHERE people.people_id NOT IN (SELECT money_rank FROM people)
SELECT name FROM people WHERE people.name = 'Pox'
SELECT area FROM area WHERE area = 'K' AND area = 'K'
SELECT country FROM country WHERE country = 'Asia'
SELECT population FROM country WHERE population = 'Asia' AND population = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT SUM(country) FROM country WHERE country = 'Asia'
SELECT COUNT(DISTINCT country.country) FROM city WHERE country = 'Dutch'
SELECT SUM(name) FROM country WHERE country = 'A'
SELECT country.name FROM city WHERE country = 'english'
SELECT COUNT(*) FROM country WHERE country = 'Europe'
SELECT name FROM country WHERE country = 'Independence'
SELECT population FROM country WHERE country = '3' AND country = '3'
SELECT SUM(percentage) FROM country WHERE country = 'SUM(SUM(S) FROM country WHERE country = 'SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM
SELECT COUNT(*) FROM conductor
SELECT name FROM conductor WHERE age < (SELECT name FROM conductor WHERE age < 1
SELECT company, founded FROM performance GROUP BY founded ORDER BY COUNT(*) DESC
SELECT name FROM orchestra GROUP BY name ORDER BY COUNT(*) DESC LIMIT 1
SELECT name FROM orchestra WHERE year = 2008 ORDER BY year DESC LIMIT 2000
SELECT performance.year FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.year = 1 AND performance.year = 10
SELECT DISTINCT founded FROM performance GROUP BY founded ORDER BY COUNT(*) DESC LIMIT 1
SELECT name FROM student WHERE high_id NOT IN (SELECT name FROM student WHERE high_id NOT IN (SELECT MAX(name) FROM student WHERE student.name = 'J'
SELECT name FROM friend WHERE high_id NOT IN (SELECT MAX(name) FROM friend WHERE friend_id NOT IN (SELECT MAX(friend) FROM friend WHERE friend_id NOT IN (SELECT MAX(friend) FROM friend WHERE friend_id NOT IN (SELECT MAX(friend) FROM friend)
SELECT name FROM friend WHERE high_id NOT IN (SELECT name FROM friend WHERE student.name = 'High' AND student.name = 'High'
SELECT name FROM friend WHERE student.name = 'K' AND student.name = 'Kyle'
SELECT name FROM friend WHERE high_id NOT IN (SELECT MAX(name) FROM friend WHERE student_id NOT IN (SELECT MAX(student_id) FROM friend WHERE student_id NOT IN (SELECT MAX(student_id) FROM friend WHERE student_id NOT IN (SELECT MAX(student_id)
SELECT AVG(age) FROM treatments
SELECT DISTINCT state_id FROM treatments JOIN departments ON treatments.department_id = departments.department_id WHERE state = 'Indian'
SELECT owner.last_name, last_name FROM dog JOIN owners ON dog.last_id = owners.last_id WHERE last_name = 'N'
SELECT name FROM breeds WHERE name = 'Bend'
SELECT DISTINCT owner_id FROM dog JOIN owners ON dog.id = owners.id WHERE dog_id NOT IN (SELECT DISTINCT owned_id) FROM dog_id WHERE dog_id NOT IN (SELECT DISTINCT owned_id) FROM dog_id WHERE owner_
SELECT treatment_type_code FROM treatment WHERE cost > 10
SELECT MAX(zip_code) FROM dog JOIN owners ON dog_id = owners.owner_id WHERE owner.name = 'L'
SELECT name FROM dog WHERE last_name = 'N'
SELECT COUNT(*) FROM treatment
SELECT email_address FROM professional_phone GROUP BY email_address ORDER BY COUNT(*) DESC LIMIT 1
SELECT birth_year, birth FROM singer
SELECT name FROM song WHERE citizenship = 'Sony'
SELECT name FROM singer WHERE net_worth = 'Net'
SELECT SUM(birth) FROM song WHERE year = 1955 AND year = 1955
SELECT feature_name FROM ref_type
