SELECT SUM(DISTINCT singer) FROM singer
SELECT location FROM stadium WHERE capacity > 50000000000000000000000000000000000000000000000000000000
SELECT id FROM student WHERE student.name = 'F'
SELECT id FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT st
SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < 1)
SELECT student.name FROM student WHERE student.name = 'L'
SELECT COUNT(*) FROM car
SELECT MIN(horses) FROM model WHERE model_name = 'car'
SELECT model_name FROM car_lists JOIN model ON car_lists.model_name = model.model_name GROUP BY model.model_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM car
SELECT DISTINCT car_model FROM car WHERE car_name = 1998
SELECT MAX(c) FROM car ORDER BY MAX(c) DESC LIMIT 1
SELECT AVG(weight) FROM cars
SELECT COUNT(*) FROM cars
SELECT COUNT(*) FROM car
SELECT name FROM car WHERE 30
SELECT COUNT(*) FROM airlines WHERE country = 'United States'
SELECT COUNT(DISTINCT city.city_code) FROM flights WHERE city = 'A'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM airlines WHERE airlines.transactions = 200
SELECT COUNT(DISTINCT airport.sourcecode) FROM flights WHERE airport.sourcecode = 'A' AND airport.sourcecode = 'A'
SELECT COUNT(DISTINCT city.city FROM flights WHERE city = 'A' AND city.city = 'A'
SELECT city FROM employee WHERE age < 10
SELECT name FROM employee WHERE name = 'L'
SELECT shop_name FROM shop WHERE employment_name = 'SUM(DISTINCT shopper_id) FROM shop_name JOIN employee ON shop_id = employee_id GROUP BY employee_id
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id GROUP BY document_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM documents WHERE document_type_code = 'Ppt'
SELECT COUNT(*) FROM template_type_code WHERE template_type_code = 'F'
SELECT DISTINCT template_type_code FROM template_type_code WHERE template_type_code = 'Punk_code'
SELECT * FROM template_code WHERE template_number = 5
SELECT template_type_code FROM template_type_code WHERE template_type_code = '333'
SELECT document_type_code FROM documents WHERE document_type_code = 'Data'
SELECT * FROM documents WHERE type_type_code = 'F'
SELECT DISTINCT paragraph_type FROM paragraph GROUP BY paragraph_type HAVING COUNT(*) >= 1
SELECT teachers.name FROM course JOIN class ON course.course_id = class.class_id WHERE course.name = 'Atlanta'
SELECT COUNT(DISTINCT player.lname) FROM player
SELECT name FROM player WHERE winery = 'Liquid'
SELECT first_name, country FROM player JOIN rankings ON player.country_id = rankings.country_id GROUP BY rankings.country_id HAVING COUNT(*) > 1
SELECT DISTINCT born_date FROM player
SELECT name FROM player GROUP BY youngest_rank ORDER BY COUNT(*) DESC LIMIT 3
SELECT country FROM player WHERE match_ranked = 'Lain'
SELECT DISTINCT battle_comm.bil_name, battle_comm.b_in_name FROM battle_commings JOIN ship ON battle.b_in_commid = 'Kalberland'
SELECT name FROM battle_commision GROUP BY name ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(DISTINCT degrees_department_rol_rol_rol_rol_department_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_
SELECT name FROM student WHERE semester = 'Spring' AND semester = 'Spring'
SELECT * FROM degree WHERE semester = 'Spring'
SELECT course.course_name, course.course_id FROM courses JOIN student ON courses.course_id = student.course_id WHERE course.course_id = 'course'
SELECT student.first_name, student.last_name FROM student
SELECT address_address FROM addresses WHERE addresses_addresses = 'A'
SELECT AVG(DISTINCT transcript_date) FROM transcript
SELECT date_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date
SELECT date_date, transcript.date_id FROM transcript GROUP BY transcript.date_id
SELECT hu_name FROM addresses WHERE address = 'h'
SELECT t_name FROM t_channel WHERE t = '35'
SELECT * FROM tv WHERE state = 'A'
SELECT channel_name FROM channel WHERE channel_name = 'Sky'
SELECT * FROM tv_channel WHERE t_name = 'Sky'
SELECT country FROM cartoon WHERE category = 'Tale'
SELECT * FROM channel WHERE channel_of_channel_part_ratio = 'english'
SELECT money_rank FROM people WHERE people.people_id NOT IN (SELECT money_rank FROM people)
SELECT name FROM people WHERE people.name = 'Pox'
SELECT area FROM area WHERE area_code = 'Kie' AND area = 'Kah'
SELECT country.name FROM country WHERE country = 'Asia'
SELECT population FROM country WHERE population = 'Asia' AND population = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT SUM(country.country) FROM country WHERE country = 'Asia'
SELECT COUNT(DISTINCT country.country) FROM city WHERE country = 'DISTINCT country'
SELECT SUM(DISTINCT country.name) FROM country JOIN country ON country.country_code = country.country_code GROUP BY country.country_code HAVING COUNT(*) >= 1
SELECT country.name FROM city WHERE country = 'english'
SELECT COUNT(*) FROM country WHERE country = 'Europe'
SELECT name FROM country WHERE country = 'Dipiscoies'
SELECT population FROM country WHERE country = '3' AND country = '3'
SELECT SUM(DISTINCT country.country) FROM country WHERE country = 'DESCribes'
SELECT COUNT(*) FROM conductor
SELECT name FROM conductor GROUP BY name
SELECT company, founded FROM performance GROUP BY founded ORDER BY COUNT(*) DESC
SELECT name FROM orchestra GROUP BY name
SELECT name FROM orchestra WHERE year = 2008 ORDER BY year DESC LIMIT 2000
SELECT performance.year FROM performance GROUP BY founded ORDER BY COUNT(*) DESC LIMIT 1
SELECT DISTINCT founded FROM performance GROUP BY founded HAVING COUNT(*) >= 2
SELECT name FROM student WHERE high_id NOT IN (SELECT name FROM student WHERE high_id NOT IN (SELECT MAX(name) FROM student WHERE student.name = 'J'
SELECT name FROM friend WHERE high_id NOT IN (SELECT MAX(name) FROM friend)
SELECT name FROM friend WHERE high_id NOT IN (SELECT name FROM friend WHERE student.name = 'high' AND student.name = 'school'
SELECT name FROM friend WHERE student.name = 'K'
SELECT name FROM student WHERE student_id NOT IN (SELECT MAX(DISTINCT student.name) FROM student WHERE student.name = 'high'
SELECT AVG(age) FROM treatment
SELECT DISTINCT state_id FROM treatments JOIN departments ON treatments.department_id = departments.department_id GROUP BY department_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT DISTINCT owner.last_name, last_name FROM dog JOIN owners ON dog.last_id = owners.last_id JOIN owners ON employees.last_id = owners.last_id JOIN owners ON employees.last_id = owners.last_id JOIN owners
SELECT name FROM breeds WHERE name = 'B. ' 'DESC LIMIT 1
SELECT DISTINCT owner.last_name, last_name FROM dog JOIN owners ON dog.last_id = owners.last_id WHERE last_name = 'N'
SELECT treatment_type_code FROM treatment WHERE cost > 10
SELECT MAX(zip_code) FROM dog_id WHERE total_of_staff > 1
SELECT name FROM dog_id WHERE last_name = 'N'
SELECT COUNT(*) FROM treatment
SELECT email_address FROM professional_phone GROUP BY email_address ORDER BY COUNT(*) DESC LIMIT 1
SELECT birth_year, birth FROM singer
SELECT name FROM song WHERE citizenship = 'Sony'
SELECT name FROM song WHERE net_worth = 'Net'
SELECT SUM(birth) FROM song WHERE year = 1955 AND year = 1955
SELECT COUNT(*) FROM ref_features
