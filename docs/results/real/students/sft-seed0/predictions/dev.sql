SELECT SUM(DISTINCT singer) FROM singer
SELECT location FROM stadium WHERE capacity > 50000000000000000000000000000000000000000000000000000000
SELECT id FROM student WHERE student.name = 'F'
SELECT id FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT st
SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT
SELECT student.fname FROM student WHERE student.fname = 'L'
SELECT COUNT(*) FROM car
SELECT model_name, model_name FROM car_list JOIN model ON car_list.model_name = model.model_name JOIN car ON car_list.model_name = car_list.model_name JOIN model ON car_name = model.model_name GROUP BY
SELECT model_name FROM car_lists JOIN model ON car_lists.model_name = model.model_name GROUP BY model.model_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM car
SELECT DISTINCT car_model FROM car JOIN model ON car_model.model_name = model.model_name GROUP BY model.model_name HAVING COUNT(*) >= 1
SELECT MAX(make) FROM car ORDER BY MAX(make) DESC LIMIT 1
SELECT AVG(weight) FROM cars
SELECT COUNT(*) FROM cars
SELECT COUNT(*) FROM car
SELECT name FROM car WHERE 30
SELECT COUNT(*) FROM airlines WHERE country = 'United States'
SELECT COUNT(DISTINCT city.city_code) FROM flights WHERE city = 'A'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM airlines WHERE airlines.transactions = 200
SELECT COUNT(*) FROM flights WHERE airport = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT city FROM employee WHERE age < 10
SELECT name FROM employee WHERE name = 'Lemon'
SELECT shop_name, name FROM shop JOIN employee ON shop_id = employee.employee_id GROUP BY shop_id
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id GROUP BY document_id HAVING COUNT(*) > 1
SELECT COUNT(*) FROM documents WHERE document_type_code = 'Ppt'
SELECT COUNT(*) FROM template_type_code WHERE template_type_code = 'F'
SELECT DISTINCT template_type_code FROM template_type_code WHERE template_type_code = 'PPP_code'
SELECT * FROM template_number WHERE template_number = 5
SELECT template_type_code FROM template_type_code WHERE template_type_code = '333'
SELECT document_type_code FROM documents WHERE document_type_code = 'Data'
SELECT template_type_code FROM documents WHERE type_type_code = 'VL'
SELECT DISTINCT paragraph_type FROM paragraph GROUP BY paragraph_id
SELECT teachers.name FROM course JOIN class ON course.course_id = class.class_id WHERE course.name = 'Atlanta'
SELECT COUNT(*) FROM player
SELECT name FROM player WHERE winery = 2013 OR winery = 2013
SELECT player.country FROM player JOIN rankings ON player.country_id = rankings.country_id GROUP BY player.country_id HAVING COUNT(*) > 1
SELECT DISTINCT born_date FROM player
SELECT name FROM player GROUP BY youngest_rank ORDER BY COUNT(*) DESC LIMIT 3
SELECT match_rank FROM player WHERE match_ranked = 'Liquid'
SELECT DISTINCT battle_comm.bil_name, battle_commid FROM battle_commings JOIN ship ON battle.b_id = ship.b_id WHERE battle_comm.b_in_name = 'Kalberton'
SELECT name FROM battle_commision GROUP BY name
SELECT COUNT(DISTINCT degrees_department_rol_rol_rol_department_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_
SELECT name FROM student WHERE semester = 'Spring' AND semester = 'Spring'
SELECT * FROM degree WHERE semester = 'Spring'
SELECT course.course_name, course.course_id FROM courses JOIN student ON courses.course_id = student.course_id WHERE course.course_id = 'course'
SELECT student.first_name, student.last_name FROM student JOIN student ON student.stu_id = student.stu_id WHERE student.first_name = 'Middle'
SELECT address_address FROM addresses JOIN student ON addresses.address_id = student.address_id WHERE addresses.address_id = 'A'
SELECT AVG(DISTINCT transcript_date) FROM transcript
SELECT date_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date, transcript.first_date
SELECT date_date, transcript.date_id FROM transcript GROUP BY transcript.date_id
SELECT hpa_name FROM addresses WHERE address_name = 'hpll'
SELECT t_name FROM t_channel WHERE t = '35'
SELECT * FROM tv WHERE hours = 'A'
SELECT channel_name FROM channel WHERE channel_name = 'Sky'
SELECT * FROM tv_channel WHERE t_name = 'Sky'
SELECT country FROM cartoon WHERE category = 'Tale'
SELECT * FROM channel WHERE channel_of_channel_part_ratio = 'english'
SELECT money_rank FROM people WHERE people.people_id NOT IN (SELECT money_rank FROM people)
SELECT name FROM people WHERE people.name = 'Pox'
SELECT area FROM area WHERE area_code = 'Kie' AND area = 'Kelly'
SELECT country.name FROM country WHERE country = 'Asia'
SELECT population FROM country WHERE population > 1000 AND population = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT SUM(country.country) FROM country WHERE country = 'Asia'
SELECT COUNT(DISTINCT country.country) FROM city WHERE country = 'DESCribes'
SELECT SUM(name) FROM country WHERE country = 'Aama'
SELECT country.name FROM city WHERE country = 'english'
SELECT COUNT(*) FROM country WHERE country = 'Europe'
SELECT name FROM country WHERE country = 'Dipiscoies'
SELECT population FROM country WHERE country = '3' AND country = '3'
SELECT SUM(country) FROM country WHERE country = 'SUM(SUM(S) FROM country WHERE country = 'SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM(SUM
SELECT COUNT(*) FROM conductor
SELECT name FROM conductor WHERE age < (SELECT name FROM conductor)
SELECT company, founded FROM performance GROUP BY founded ORDER BY COUNT(*) DESC
SELECT name FROM orchestra GROUP BY name
SELECT name FROM orchestra WHERE year = 2008 ORDER BY year DESC LIMIT 2000
SELECT performance.year FROM performance GROUP BY founded ORDER BY COUNT(*) DESC LIMIT 1
SELECT DISTINCT founded FROM performance GROUP BY founded HAVING COUNT(*) >= 2
SELECT name FROM student WHERE high_id NOT IN (SELECT name FROM student WHERE high_id NOT IN (SELECT MAX(grade) FROM student WHERE student.name = 10
SELECT name FROM friend WHERE high_id NOT IN (SELECT MAX(friend.name) FROM friend WHERE friend.name = 'High'
SELECT name FROM friend WHERE high_id NOT IN (SELECT name FROM friend WHERE student.name = 'high' AND student.name = 'school'
SELECT name FROM friend WHERE student.name = 'K'
SELECT name FROM student WHERE high_id NOT IN (SELECT MAX(name) FROM student)
SELECT AVG(age) FROM treatment
SELECT DISTINCT state_id FROM treatments JOIN departments ON treatments.department_id = departments.department_id GROUP BY department_id HAVING COUNT(*) >= 2
SELECT owner.last_name, last_name FROM dog JOIN owners ON dog.last_id = owners.last_id JOIN owners ON employees.last_id = owners.last_id JOIN owned_id ON dog.last_id = owned_id WHERE last_name = 'A
SELECT name FROM breeds WHERE name = 'Bendre H. COUNT(*) FROM breeds WHERE name = 'Breets'
SELECT DISTINCT owner.last_name, last_name FROM dog JOIN owners ON dog.last_id = owners.last_id WHERE last_name = 'N'
SELECT treatment_type_code FROM treatment WHERE cost > 10
SELECT MAX(zip_code) FROM dog_id WHERE total_of_staffed > 1
SELECT name FROM dog_id WHERE last_name = 'N'
SELECT COUNT(*) FROM treatment
SELECT email_address FROM professional_phone GROUP BY email_address ORDER BY COUNT(*) DESC LIMIT 1
SELECT birth_year, birth FROM singer
SELECT name FROM song WHERE citizenship = 'Sony'
SELECT name FROM song WHERE net_worth = 'Net'
SELECT SUM(birth) FROM song WHERE year = 1955 AND year = 1955
SELECT COUNT(*) FROM ref_type
