SELECT name, country, age FROM singer ORDER BY age DESC LIMIT 1
SELECT country, COUNT(*) FROM singer
SELECT stadium.name FROM stadium JOIN concert ON stadium.stadium_id = concert.stadium_id WHERE concert.year = 2014 AND stadium.stadium_id NOT IN (SELECT stadium.stadium_id FROM stadium JOIN concert ON stadium.stadium_id = concert
SELECT COUNT(*) FROM stadium WHERE capacity > 10000
SELECT COUNT(*) FROM stadium WHERE stadium.stadium_id = (SELECT MAX(stadium_id) FROM stadium WHERE stadium.stadium_id = (SELECT MAX(stadium_id) FROM stadium WHERE stadium.stadium_id = (SELECT MAX(stadium_id) FROM stadium
SELECT COUNT(*) FROM student WHERE age > 20
SELECT fname FROM student WHERE stuid = 'cat' OR stuid = 'dog'
SELECT major FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN
SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM has_pet)
SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM has_pet)
SELECT fname FROM student WHERE stuid = 'student' AND stuid NOT IN (SELECT stuid FROM has_pet WHERE stuid = 'has_pet' AND stuid NOT IN (SELECT stuid FROM has_pet WHERE stuid = 'has_pet' AND stuid NOT IN (SELECT stuid
SELECT pettype, weight FROM pets WHERE pettype = 'cat' AND petid = 2001
SELECT stuid FROM student WHERE stuid = '3' AND has_pet.stuid = 'cat'
SELECT COUNT(*) FROM car_makers
SELECT COUNT(*) FROM car_makers
SELECT COUNT(*) FROM car_makers WHERE country = 'France'
SELECT manufacturer FROM car_names GROUP BY manufacturer ORDER BY COUNT(*) DESC LIMIT 3
SELECT COUNT(*) FROM car_names WHERE model = 'volvo'
SELECT id, name FROM car_makers WHERE fullname = 'fiat' ORDER BY car_makers.fullname DESC LIMIT 3
SELECT country FROM airlines WHERE airline_name = 'JetBlue Airways'
SELECT airline FROM airlines WHERE abbreviation = UAL
SELECT COUNT(*) FROM airlines WHERE country = 'USA'
SELECT airportname FROM airports WHERE city = 'Aberdeen'
SELECT COUNT(*) FROM flights WHERE destinationairport = 'Ato'
SELECT COUNT(*) FROM flights WHERE city = 'Aberdeen'
SELECT COUNT(*) FROM flights WHERE sourceairport = 'AHD' AND destinationairport = 'AHD'
SELECT airline FROM airlines WHERE airportcode = 'CVO' AND airportname = 'APG'
SELECT flightno FROM airlines WHERE airline name = 'United Airlines'
SELECT flightno FROM flights WHERE sourceairport = 'APG'
SELECT flightno FROM flights WHERE city = 'Aberdeen'
SELECT flightno FROM flights WHERE city = 'Aberdeen'
SELECT COUNT(*) FROM flights WHERE city = 'Aberdeen' AND city = 'Abilene'
SELECT employee.name FROM employee JOIN employee_id ON employee.employee_id = employee_id GROUP BY employee.employee_id ORDER BY employee.employee_id DESC LIMIT 1
SELECT employee.name FROM employee JOIN employee_id ON employee.employee_id = employee_id GROUP BY employee.employee_id ORDER BY employee.employee_id DESC LIMIT 1
SELECT employee.name FROM employee JOIN employee_id ON employee.employee_id = employee_id GROUP BY employee.employee_id HAVING SUM(employee.employee_id) > 1
SELECT name FROM employee WHERE age = 23 AND employee.employee_id = 1
SELECT Hometown, COUNT(*) FROM teacher
SELECT teacher.name FROM teacher JOIN course ON teacher.teacher_id = course.course WHERE course.staring_date != (SELECT staring_date FROM course WHERE course.staring_date != (SELECT staring_date FROM course WHERE course.staring_date != (SELECT staring_
SELECT AVG(age) FROM visitor WHERE age < 4
SELECT museum.name FROM museum JOIN visitor ON museum.id = visitor.id WHERE visitor.level_of_membership = 8 AND visitor.level_of_membership = 5
SELECT player_name FROM matches WHERE loser_name = 'Serena Williams' AND winner_name = 'Petra Kvitova'
SELECT country_code, first_name FROM matches JOIN players ON matches.winner_id = players.player_id WHERE matches.loser_id = players.player_id AND matches.tourney_name = WTA Championships AND matches.tourney_name = Australian Open
SELECT first_name, country_code FROM players ORDER BY first_name DESC LIMIT 1
SELECT DISTINCT player_id FROM players GROUP BY player_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT player_id FROM players WHERE country_code = 'SUI' ORDER BY country_code DESC LIMIT 50
SELECT COUNT(*) FROM matches WHERE loser_id = (SELECT loser_id FROM players WHERE player_id = 200001) AND winser_id = (SELECT winser_id FROM players WHERE player_id = 200002)
SELECT COUNT(*) FROM ship
SELECT ship.id, ship.name FROM ship JOIN battle ON ship.id = battle.id WHERE battle.id = 14 AND battle.name = 'Battle of Adrianople'
SELECT zip_postcode FROM addresses WHERE city = 'Port Chelsea'
SELECT student_id FROM students WHERE student_id NOT IN (SELECT student_id FROM students WHERE student_id NOT IN (SELECT student_id FROM students WHERE student_id NOT IN (SELECT student_id FROM students WHERE student_id NOT IN (SELECT student_id FROM students WHERE student_id NOT IN
SELECT phone_number FROM students WHERE first_name = 'Timmothy' AND last_name = ' Ward'
SELECT student_id, COUNT(*) FROM students GROUP BY student_id HAVING SUM(student_id) > 1
SELECT DISTINCT cartoon.title FROM cartoon JOIN tv_channel ON cartoon.channel = tv_channel.id WHERE tv_channel.id = 700 AND tv_channel.id = 701
SELECT DISTINCT cartoon.title, DISTINCT channel FROM cartoon JOIN tv_channel ON cartoon.channel = tv_channel.id WHERE tv_channel.id = 700 AND tv_channel.id = 701
SELECT title FROM cartoon WHERE directed_by = 'Ben Jones' OR directed_by = 'Brandon Vietti'
SELECT country, TV_channel.hight_definition_tv FROM tv_channel JOIN tv_series ON tv_channel.id = tv_series.id WHERE tv_series.channel = 'Sky Radio' AND tv_series.id = 'Sky Music'
SELECT package_option FROM tv_channel WHERE title = 'Sky Radio'
SELECT series_name FROM tv_series WHERE hight_definition_tv = 'The Rise of the Blue Beetle'
SELECT series_name FROM tv_series WHERE episode = 'A Love of a Lifetime'
SELECT country FROM tv_channel WHERE written_by = 'Todd Casey'
SELECT series_name, country FROM TV_series WHERE directed_by = 'Ben Jones' AND directed_by = 'Michael Chang'
SELECT pixel_aspect_ratio_par FROM tv_channel WHERE language != 'English' AND TV_channel.language != 'Italian'
SELECT channel FROM tv_channel WHERE directed_by != 'Ben Jones'
SELECT DISTINCT money_rank FROM poker_player ORDER BY DISTINCT money_rank DESC LIMIT 1
SELECT country FROM people WHERE nationality = 'Russia' AND people_id = 2
SELECT region FROM city WHERE countrycode = 'Kabul'
SELECT AVG(lifeexpectancy) FROM country
SELECT COUNT(*) FROM city WHERE district = 'Gelderland'
SELECT population FROM city WHERE district = 'Gelderland'
SELECT AVG(gnp) FROM country GROUP BY country.code
SELECT COUNT(*) FROM country WHERE isofficial = 'T'
SELECT COUNT(*) FROM country ORDER BY COUNT(*) DESC LIMIT 1
SELECT language FROM country WHERE isofficial = 'Republic'
SELECT city.name FROM city JOIN countrylanguage ON city.id = countrylanguage.countrycode WHERE countrylanguage.percentage = 5.3
SELECT country.continent, COUNT(*) FROM country JOIN city ON country.countrycode = city.countrycode WHERE city.id < 129
SELECT code FROM country WHERE isofficial = 'English'
SELECT city.name FROM countrylanguage JOIN city ON countrylanguage.language = city.language WHERE countrylanguage.isofficial = 'Asian'
SELECT city.name FROM city JOIN countrylanguage ON city.countrycode = countrylanguage.countrycode WHERE countrylanguage.language = 'Chinese' AND countrylanguage.isofficial = 'T'
SELECT name, year, surfacearea FROM country ORDER BY COUNT(*) DESC LIMIT 1
SELECT name FROM country ORDER BY country.code LIMIT 3
SELECT name FROM city WHERE countrycode = 'ABW'
SELECT COUNT(*) FROM country WHERE continent = 'Asia'
SELECT COUNT(*) FROM country WHERE continent = 'Asia'
SELECT city.name FROM city JOIN city_country ON city.countrycode = city_country.code WHERE city.id BETWEEN 160000 AND 90000
SELECT country.name, COUNT(*) FROM country JOIN countrylanguage ON country.code = country.code WHERE country.name = 'Aruba' AND country.name = 'Afghanistan'
SELECT country.code, COUNT(*) FROM country JOIN countrylanguage ON country.code = country.code WHERE country.name = 'Spanish'
SELECT COUNT(*) FROM orchestra WHERE major_record_format = 'CD' OR major_record_format = 'DVD'
SELECT MAX(student_id) FROM highschooler WHERE year = 2025
SELECT name FROM highschooler
SELECT name FROM friend
SELECT COUNT(*) FROM likes
SELECT AVG(grade) FROM highschooler
SELECT MAX(grade) FROM highschooler WHERE student_id NOT IN (SELECT student_id FROM friend)
SELECT DISTINCT professional_id, last_name, cell_phone FROM professionals GROUP BY professional_id HAVING COUNT(*) > 2
SELECT DISTINCT dog_id, owner_id, dog_id FROM dogs GROUP BY dog_id HAVING COUNT(*) > 1
SELECT DISTINCT owners.owner_id, DISTINCT treatments.cost_of_treatment, DISTINCT owners.first_name FROM owners JOIN treatments ON owners.owner_id = treatments.owner_id GROUP BY owners.owner_id ORDER BY COUNT(*)
SELECT COUNT(*) FROM dogs WHERE age < (SELECT AVG(size_code) FROM dogs)
SELECT name FROM singer WHERE s_name NOT IN (SELECT s_name FROM song)
SELECT name FROM singer WHERE birth_year = 1948 OR birth_year = 1949
SELECT name FROM singer WHERE birth_year = 1948 OR birth_year = 1949
