SELECT name FROM singer WHERE age < (SELECT MAX(age) FROM singer)
SELECT country FROM singer WHERE country = 'Sony'
SELECT stadium.name FROM stadium WHERE stadium.year = 2014
SELECT COUNT(*) FROM stadium GROUP BY stadium.name
SELECT COUNT(*) FROM stadium GROUP BY stadium ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM student
SELECT stuid FROM student WHERE student.lname = 'F'
SELECT MAX(pname) FROM student
SELECT stuid FROM student WHERE student_of_cat = 'Fid'
SELECT stuid FROM student WHERE stuid = 'Fid'
SELECT stuid FROM student WHERE student_name = 'S'
SELECT type_weight FROM pets JOIN has_type ON pets.petid = has_type_weight WHERE pet_type_weight = 'weight'
SELECT student.lname FROM student JOIN student ON student.stuid = student.stuid WHERE student.lname = 'lname'
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT manufacturer FROM car_name JOIN model_name ON car_name.model_id = model_name JOIN manufacturer ON car_name = manufacturer.model_name GROUP BY manufacturer.model_name ORDER BY COUNT(*) DESC LIMIT 3
SELECT COUNT(*) FROM model JOIN car ON model.model_name = car_list.model_name JOIN model ON model.model_name = model.model_name JOIN car ON model.model_name = car.model_name JOIN model ON model.model_name =
SELECT country FROM car WHERE country = 'F'
SELECT country FROM airports WHERE country = 'J'
SELECT COUNT(*) FROM airlines WHERE airline.name = 'U'
SELECT COUNT(*) FROM airlines JOIN flights ON airlines.city_id = flights.city_id WHERE airlines.country = 'US'
SELECT city FROM airports WHERE city = 'A' AND city = 'A'
SELECT COUNT(*) FROM flights WHERE airport.sourcecode = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT COUNT(*) FROM flights WHERE airline.source = 'A'
SELECT COUNT(*) FROM airlines WHERE COUNT(*) FROM airlines JOIN airports ON airlines.air_code = airports.air_code WHERE airlines.name = 'CV'
SELECT COUNT(*) FROM flights WHERE airline_line = 'United Airlines'
SELECT flight.source FROM flights JOIN airports ON flights.source_code = airports.source_code WHERE airport.source_code = 'flights'
SELECT DISTINCT city.city FROM flights JOIN airports ON flights.city_code = airports.city_code WHERE city.city_code = 'A' AND city.city_code = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT employee.name FROM employee JOIN shop ON employee.employee_id = shop_id GROUP BY shop_id HAVING SUM(age) > 1
SELECT name FROM employees WHERE age < (SELECT MAX(age) FROM employees)
SELECT name FROM employee JOIN shop ON employee.id = shop.id WHERE employee.name = 'L'
SELECT shop_name FROM employee WHERE city = 'L'
SELECT DISTINCT teacher_id FROM teacher GROUP BY teacher_id
SELECT teachers.name FROM course JOIN teacher ON course.course_id = teacher.course_id WHERE course.name = 'Alme'
SELECT AVG(age) FROM visitor
SELECT museum.name FROM visitor JOIN visitor ON visitor.id = visitor.id WHERE visitor.name = 'Museum'
SELECT name FROM player WHERE player_name = 2013
SELECT country FROM player WHERE player.name = 'WTA'
SELECT player_code FROM player
SELECT COUNT(*) FROM player
SELECT COUNT(*) FROM player
SELECT COUNT(*) FROM player WHERE player.name = 'WTA'
SELECT COUNT(*) FROM ship WHERE ship_id NOT IN (SELECT COUNT(*) FROM ship WHERE ship_id NOT IN (SELECT COUNT(*) FROM ship_id WHERE ship_id NOT IN (SELECT COUNT(*) FROM ship_id WHERE ship_id NOT IN (SELECT COUNT(*
SELECT ship_id, name FROM ship JOIN battle ON ship.id = battle.id WHERE total_id = 'total'
SELECT zip_postcode FROM addresses WHERE city_code = 'Chel'
SELECT student_name FROM student WHERE degree_name = 'North'
SELECT phone_number, last_name FROM student WHERE last_name = 'Motion'
SELECT student_id, student_id FROM student_id JOIN student ON student_id = student_id WHERE student_id = 'Sony'
SELECT name FROM cartoons ORDER BY name
SELECT DISTINCT directed_by FROM cartoon ORDER BY DESC LIMIT 1
SELECT tik_name FROM cartoon WHERE t2.name = 'Ben' AND t2.name = 'Benny'
SELECT country FROM channel WHERE channel_name = 'Ch'
SELECT channel_name FROM channel WHERE channel_name = 'Sky'
SELECT SUM(DISTINCT channel_name) FROM channel
SELECT DISTINCT series_name FROM tv_channel JOIN tv_channel ON tv_channel.id = tv_channel.id WHERE channel_name = 'A'
SELECT country FROM cartoon WHERE category = 'Tale'
SELECT DISTINCT country FROM channel JOIN tibbon ON tibbon.tpi = tik_by.tpi JOIN tibbon ON tibbon.tpi = tik_by.tpi JOIN tibbon ON tibbon.tpi = tik_
SELECT * FROM channel WHERE channel_name = 'English'
SELECT DISTINCT channel, directed_by FROM channel JOIN t_channel ON channel.channel_id = t_channel.channel_id WHERE t_channel.channel_id = 'Benny'
SELECT mony_id, COUNT(*) FROM people JOIN people ON people.people_id = people.people_id WHERE people.people_id = 'mony'
SELECT country FROM people ORDER BY country_id
SELECT COUNT(*) FROM country WHERE country = 'K'
SELECT AVG(country) FROM country WHERE country = ' Central'
SELECT COUNT(*) FROM country WHERE country = 'German'
SELECT population FROM country WHERE country = 'German'
SELECT population FROM country GROUP BY population ORDER BY population DESC LIMIT 1
SELECT COUNT(*) FROM country WHERE country = 'Af'
SELECT COUNT(*) FROM country WHERE country = 'Dorm'
SELECT country.country FROM country WHERE country = 'Republican'
SELECT population FROM city WHERE city = 'english'
SELECT country.country FROM country WHERE country = 'African'
SELECT COUNT(*) FROM country WHERE country = 'english'
SELECT city.country FROM city WHERE country = 'Asian'
SELECT DISTINCT city.name FROM city JOIN country ON city.city_code = country.country_code WHERE city.country = 'Chinese'
SELECT name FROM country WHERE country = 'Autin'
SELECT population FROM country WHERE country = '3' AND country = '3'
SELECT name FROM country WHERE country = '3'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT city.name FROM city WHERE city.name = 1000000000000000000000000000000000000000000000000000
SELECT MAX(is) FROM country WHERE country = 'Belations'
SELECT COUNT(*) FROM country WHERE country = 'Spanish'
SELECT COUNT(*) FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.performance_id = 'Dive'
SELECT COUNT(*) FROM friend
SELECT name FROM friend WHERE friend.name = 'K'
SELECT name FROM friend WHERE friend.name = 'K'
SELECT name FROM student WHERE student_id NOT IN (SELECT student.name FROM student JOIN high_id ON student.id = student.id WHERE student.name = 'Kyle'
SELECT AVG(grade) FROM student
SELECT MAX(grade) FROM student
SELECT COUNT(*) FROM treatments JOIN departments ON treatments.department_id = departments.department_id WHERE state = 2
SELECT DISTINCT dog_id FROM treatment JOIN dog ON treatment.dog_id = dog_id WHERE treatment.last_name = 'Dog'
SELECT DISTINCT treatment_of_treatment, first_of_treatment FROM treatment JOIN treatments ON treatment.treatment_id = treatments.treatment_id GROUP BY treatment_of_treatment.treatment_id
SELECT COUNT(*) FROM treatment
SELECT name FROM singer WHERE name = 'French'
SELECT name FROM song WHERE age < 1994
SELECT name FROM song WHERE age < 1999
