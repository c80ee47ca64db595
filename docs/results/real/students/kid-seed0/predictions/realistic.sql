SELECT name FROM singer WHERE age > 10
SELECT country FROM singer WHERE country = 'Sony'
SELECT stadium.name FROM stadium WHERE stadium = 2014
SELECT COUNT(*) FROM stadium GROUP BY stadium.name
SELECT COUNT(*) FROM stadium GROUP BY stadium.name
SELECT COUNT(*) FROM student
SELECT stuid FROM student WHERE student.lname = 'F'
SELECT MAX(pname) FROM student
SELECT stuid FROM student WHERE student_id NOT IN (SELECT stuid FROM student WHERE student_id NOT IN (SELECT stuid FROM student WHERE student_id NOT IN (SELECT stuid FROM student WHERE student_id NOT IN (SELECT stuid FROM student WHERE student_id NOT IN (SELECT stuid FROM
SELECT stuid FROM student WHERE stuid = 'Fid'
SELECT stuid FROM student WHERE student_name = 'S'
SELECT type_weight FROM pets JOIN has_type ON pets.petid = has_type_weight WHERE pet_weight = 'F'
SELECT student.lname FROM student JOIN student ON student.stuid = student.stuid WHERE student.lname = 'lname'
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT manufacturer FROM car_name WHERE manufacturers.name = 3
SELECT COUNT(*) FROM model JOIN car ON model.model_name = car_lists.model_name JOIN model ON model.model_name = model.model_name JOIN car ON model.model_name = car.model_name JOIN model ON model.model_name =
SELECT country FROM car WHERE country = 'F'
SELECT country FROM airports WHERE country = 'J'
SELECT COUNT(*) FROM airlines WHERE airline.name = 'U'
SELECT COUNT(*) FROM airlines WHERE country = 'US'
SELECT DISTINCT airport.city FROM airports JOIN flights ON airports.city_code = flights.city_code WHERE city.city_code = 'A' AND city.city_code = 'A'
SELECT COUNT(*) FROM flights WHERE airport.sourcecode = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT COUNT(*) FROM flights WHERE airline.source = 'A'
SELECT COUNT(*) FROM airlines WHERE COUNT(*) FROM airlines WHERE COUNT(*) FROM airlines WHERE airlines.country = 'CV'
SELECT COUNT(*) FROM flights WHERE airline.country = 'United'
SELECT DISTINCT source FROM flights JOIN airports ON flights.source_code = airports.source_code WHERE airport.source_code = 'A' AND airport.source_code = 'A' AND airport.source_code = 'A' AND airport.source_code = 'A'
SELECT DISTINCT city.city FROM flights JOIN airports ON flights.city_code = airports.city_code WHERE city.city_code = 'A' AND city.city_code = 'A'
SELECT DISTINCT city.city FROM flights JOIN airports ON flights.city_code = airports.city_code WHERE city.city_code = 'A' AND city.city_code = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT employee.name FROM employee JOIN shop ON employee.employee_id = shop.employee_id WHERE age < (SELECT MAX(age) FROM employee)
SELECT name FROM employees WHERE age < (SELECT MAX(age) FROM employees)
SELECT name FROM employee JOIN shop ON employee.id = shop.id WHERE employee.name = 'L'
SELECT shop_name FROM employee WHERE name = 'German'
SELECT DISTINCT teacher_id FROM teacher
SELECT teachers.name FROM course JOIN teacher ON course.course_id = teacher.course_id WHERE course.name = 'Alme'
SELECT AVG(age) FROM visitor
SELECT name FROM museum WHERE age > 10
SELECT name FROM player WHERE winery = 2013 OR winery = 2013
SELECT country FROM player WHERE player.name = 'WIN(w) FROM player WHERE player.name = 'WTA'
SELECT player.country FROM player JOIN rankings ON player.player_id = rankings.rank_code WHERE player.country = 'M.year'
SELECT COUNT(*) FROM player
SELECT COUNT(*) FROM player
SELECT COUNT(*) FROM player WHERE player.name = 'WTA'
SELECT COUNT(*) FROM ship WHERE ship_id NOT IN (SELECT COUNT(*) FROM ship WHERE ship_id NOT IN (SELECT COUNT(*) FROM ship_id WHERE ship_id = 'captured')
SELECT ship_id, name FROM ship JOIN battle ON ship.id = battle.id WHERE total_id = 'total'
SELECT zip_zip FROM addresses WHERE city_code = 'Chels'
SELECT student_name FROM student WHERE last_name = 'North'
SELECT phone_number, last_name FROM student WHERE last_name = 'Moot'
SELECT student_id, student_id FROM student ORDER BY student_id
SELECT name FROM cartoons ORDER BY DESC LIMIT 1
SELECT DISTINCT directed_by FROM cartoon ORDER BY DESC LIMIT 1
SELECT tid FROM cartoon WHERE t2.name = 'Ben' AND t2.name = 'Ben'
SELECT country FROM tv_channel WHERE channel_name = 'Ch'
SELECT COUNT(*) FROM channel WHERE channel_name = 'Sky'
SELECT SUM(DISTINCT (SELECT SUM(DISTINCT () FROM tv)
SELECT DISTINCT (SELECT DISTINCT (SELECT DISTINCT () FROM tv)
SELECT country FROM cartoon WHERE category = 'T'
SELECT DISTINCT country FROM channel JOIN t2 ON t2.t1000 = t2.t1000
SELECT * FROM channel WHERE channel_name = 'english'
SELECT DISTINCT channel_id FROM channel JOIN t_channel ON channel.channel_id = t_channel.channel_id WHERE t_channel.id = 'Benny' AND t_channel.id = 'Benny'
SELECT mony_id, COUNT(*) FROM people JOIN people ON people.people_id = people.people_id WHERE people.people_id = 'mony'
SELECT country FROM people ORDER BY country_id
SELECT COUNT(*) FROM country WHERE country = 'K'
SELECT AVG(country) FROM country WHERE country = ' Central'
SELECT COUNT(*) FROM country WHERE country = 'German'
SELECT population FROM country WHERE country = 'German'
SELECT population FROM country GROUP BY population ORDER BY population DESC LIMIT 1
SELECT COUNT(*) FROM country WHERE country = '' OR country.country = ''
SELECT COUNT(*) FROM country WHERE country = 'Dorm'
SELECT country.country FROM country WHERE country = 'Republican'
SELECT population FROM city WHERE city = 'english'
SELECT country.country FROM country WHERE country = 'African'
SELECT COUNT(*) FROM country WHERE country = 'english'
SELECT city.country FROM city WHERE country = 'Asian'
SELECT DISTINCT city.name FROM city WHERE city.name = 'China' AND city.name = 'Asia'
SELECT name FROM country WHERE country = 'Dipin'
SELECT population FROM country WHERE country = '3' AND country.country = '3'
SELECT name FROM country WHERE country = '3'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT city.name FROM city WHERE city = 100000000000000000000000000000000000000000000000000000
SELECT MAX(is) FROM country WHERE country = 'N'
SELECT COUNT(*) FROM country WHERE country = 'Spanish'
SELECT COUNT(*) FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.performance_id = 'Dive'
SELECT COUNT(*) FROM student
SELECT name FROM friend WHERE friend.name = 'K'
SELECT name FROM friend WHERE friend.name = 'K'
SELECT name FROM student WHERE student_id NOT IN (SELECT student.name FROM student WHERE student.name = 'K' AND student.name = 'Kyle'
SELECT AVG(grade) FROM student
SELECT MIN(grade) FROM student
SELECT DISTINCT country FROM treatments JOIN departments ON treatments.id = departments.department_id WHERE state = 2
SELECT DISTINCT dog_id FROM treatment JOIN dog ON treatment.dog_id = dog_id WHERE treatment.last_name = 'Dog'
SELECT DISTINCT medicine_id FROM treatments JOIN treatments ON treatments.id = treatments.id WHERE medicine_of_treatment.first_name = 'D'
SELECT COUNT(*) FROM treatment
SELECT name FROM singer WHERE name = 'Sony'
SELECT name FROM song WHERE age < 199 AND 199 AND 1998 AND 1998 AND 1999 AND 1999 AND 1999 AND 1999 AND 1999 AND 1999
SELECT name FROM song WHERE age < 199 AND 199 AND 199 AND 199 AND 200 AND 199
