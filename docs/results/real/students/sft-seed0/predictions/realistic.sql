SELECT name FROM singer WHERE age > 12
SELECT country FROM singer WHERE country = 'Sony'
SELECT stadium.name FROM stadium WHERE stadium.year = 2014
SELECT COUNT(*) FROM stadium GROUP BY stadium.name
SELECT COUNT(*) FROM stadium GROUP BY stadium.venueid
SELECT COUNT(*) FROM student
SELECT stuid FROM student WHERE student.lname = 'F'
SELECT MAX(pname) FROM student
SELECT stuid FROM student WHERE student_of_cat = 'Fid'
SELECT stuid FROM student WHERE stuid = 'Fid'
SELECT stuid FROM student WHERE student_name = 'Sedie'
SELECT type_weight FROM pets JOIN has_weight ON pets.petid = has_weight GROUP BY has_weight
SELECT student.lname FROM student JOIN has_pet ON student.lname = student.lname JOIN student ON student.stuid = student.stuid WHERE student.lname = 'lname'
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT manufacturer FROM car_name WHERE manufacturers.name = 3
SELECT COUNT(*) FROM model JOIN car ON model.model_name = car_list.model_name JOIN model ON model.model_name = model.model_name JOIN car ON model.model_name = car.model_name JOIN model ON model.model_name =
SELECT country FROM car_name WHERE country = 'F'
SELECT country FROM airports WHERE country = 'J'
SELECT COUNT(*) FROM airlines WHERE airline.name = 'Ul'
SELECT COUNT(*) FROM airlines JOIN flights ON airlines.city_id = flights.city_id GROUP BY airlines.city_id HAVING COUNT(*) >= 1
SELECT DISTINCT airport.city FROM airports JOIN flights ON airports.city_code = flights.city_code WHERE city.city_code = 'A' AND city.city_code = 'Aair'
SELECT COUNT(*) FROM flights WHERE airport.sourcecode = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT COUNT(*) FROM flights WHERE airline.source = 'A'
SELECT COUNT(*) FROM airlines WHERE COUNT(*) FROM airlines WHERE COUNT(*) FROM airlines WHERE airlines.country = 'CV'
SELECT COUNT(*) FROM flights WHERE airline.year = 'United Airlines'
SELECT COUNT(*) FROM flights WHERE airport.sourcecode = 'flights'
SELECT DISTINCT city.city FROM flights JOIN airports ON flights.city_code = airports.city_code WHERE city.city_code = 'A' AND city.city_code = 'Aberain'
SELECT DISTINCT city.city FROM flights JOIN airports ON flights.city_code = airports.city_code GROUP BY airport.city_code HAVING COUNT(*) >= 2
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT employee.name FROM employee JOIN shop ON employee.age = shop.age > 20
SELECT name FROM employees GROUP BY youngest_name
SELECT name FROM employee JOIN shop ON employee.id = shop.id GROUP BY shop_id HAVING COUNT(*) >= 1
SELECT shop_name FROM employee WHERE name = 'German'
SELECT DISTINCT teacher_district FROM teacher GROUP BY teacher_district ORDER BY COUNT(*) DESC LIMIT 1
SELECT teachers.name FROM course JOIN class ON course.course_id = class.class_id JOIN teacher ON course.course_id = teacher.course_id WHERE class.name = 'Alainan'
SELECT AVG(age) FROM visitor
SELECT museum.name FROM visitor WHERE year = 'Museum'
SELECT name FROM player WHERE winery = 2013 OR winery = 2013
SELECT country FROM player WHERE player.name = 'WIN(w) FROM player WHERE player.name = 'WTA'
SELECT player.country FROM player JOIN rankings ON player.player_id = rankings.rank_code GROUP BY player.country ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM player
SELECT COUNT(*) FROM player
SELECT COUNT(*) FROM player WHERE different_name = 'Wainage'
SELECT COUNT(*) FROM ship WHERE ship_id NOT IN (SELECT COUNT(*) FROM ship WHERE ship_id NOT IN (SELECT COUNT(*) FROM ship_id WHERE ship_id NOT IN (SELECT COUNT(*) FROM ship_id WHERE ship_id NOT IN (SELECT COUNT(*
SELECT ship_id, name FROM ship JOIN battle ON ship.id = battle.id WHERE total_id = 'total'
SELECT zip_postcode FROM addresses WHERE city_code = 'Lissa'
SELECT student_name FROM student WHERE last_name = 'North'
SELECT phone_number, last_name FROM student WHERE last_name = 'Mannmann'
SELECT student.id, student.name FROM student JOIN student ON student.stm_id = student.stm_id WHERE student.name = 'Sony'
SELECT name FROM cartoons ORDER BY DESC LIMIT 1
SELECT DISTINCT directed_by FROM cartoon ORDER BY DESC LIMIT 1
SELECT tid FROM cartoon WHERE t2.name = 'Benny' AND t2.name = 'Benny'
SELECT country FROM channel WHERE channel_name = 'Ch'
SELECT channel_name FROM channel WHERE channel_name = 'Sky'
SELECT SUM(DISTINCT channel_name) FROM channel
SELECT DISTINCT series_name FROM tv_channel WHERE channel_name = 'A'
SELECT country FROM cartoon WHERE category = 'Tale'
SELECT DISTINCT country FROM channel JOIN tibao ON tibbon.tpi = t2.tpi JOIN tibbon ON tibbon.tpi = t2.tpi JOIN tibbon ON tibbon.tpi = t2.tpi JOIN
SELECT * FROM channel WHERE channel_name = 'english'
SELECT DISTINCT channel, directed_by FROM channel JOIN t_channel ON channel.channel_id = t_channel.channel_id WHERE t_channel.channel_id = 'Benny'
SELECT mony_id, COUNT(*) FROM poker_player
SELECT country FROM people GROUP BY country ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM city WHERE country = 'K'
SELECT AVG(country) FROM country WHERE country = 'Central'
SELECT COUNT(*) FROM city WHERE country = 'German'
SELECT population FROM city WHERE country = 'German'
SELECT population FROM country GROUP BY population ORDER BY population DESC LIMIT 1
SELECT COUNT(*) FROM country WHERE country = 'Af'
SELECT COUNT(DISTINCT country.country.code) FROM country GROUP BY country.country_code
SELECT COUNT(*) FROM country WHERE country = 'Republican'
SELECT population FROM city WHERE city = 'english'
SELECT COUNT(*) FROM country WHERE country = 'African'
SELECT COUNT(*) FROM country WHERE country = 'english'
SELECT city.country FROM city WHERE country = 'Asian'
SELECT DISTINCT city.name FROM city WHERE city.name = 'China' AND city.city = 'Asia'
SELECT name FROM country WHERE country = 'Autin'
SELECT population FROM country WHERE country = '3' AND country = '3'
SELECT name FROM country WHERE country = '3'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT city.name FROM city WHERE city = 100000000000000000000000000000000000000000000000000000
SELECT MAX(is) FROM country WHERE country = 'Belations'
SELECT COUNT(*) FROM country WHERE country = 'Spanish'
SELECT COUNT(*) FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.performance_id = 'Dive Doices'
SELECT COUNT(*) FROM friend
SELECT name FROM friend WHERE friend.name = 'Kyle'
SELECT name FROM friend WHERE friend.name = 'Kyle'
SELECT name FROM student WHERE student_id NOT IN (SELECT student.name FROM student WHERE student.name = 'Kyle'
SELECT AVG(grade) FROM student
SELECT MIN(grade_id) FROM student
SELECT COUNT(*) FROM treatments GROUP BY last_name
SELECT DISTINCT dog_id FROM treatment JOIN dog ON treatment.dog_id = dog_id WHERE treatment.last_name = 'Dog'
SELECT DISTINCT treatment_of_treatment, first_of_treatment FROM treatment JOIN treatments ON treatment.treatment_id = treatments.treatment_id GROUP BY treatment_of_treatment.treatment_id
SELECT COUNT(*) FROM treatment
SELECT name FROM song WHERE name = 'english'
SELECT name FROM song WHERE age < 199 AND 200 ORDER BY age
SELECT name FROM song WHERE age < 199 AND 200 AND 199
