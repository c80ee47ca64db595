SELECT SUM(singer_id) FROM singer
SELECT stadium.location, stadium.name FROM stadium JOIN stadium_id ON stadium.stadium_id = stadium_id GROUP BY stadium.stadium_id ORDER BY capacity DESC LIMIT 5000
SELECT stuid FROM student WHERE stuid NOT IN (SELECT pet_id FROM pets)
SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE pettype = 'cat')
SELECT fname, age FROM student WHERE fname = 'student' AND stuid = 'student'
SELECT fname, gender FROM student WHERE stuid = '1001' AND stuid = '1002'
SELECT COUNT(*) FROM car_makers GROUP BY car_makers.id
SELECT MIN(model) FROM car_names WHERE make = 'chevrolet' AND model = 'chevrolet'
SELECT model FROM car WHERE weight < (SELECT AVG(weight) FROM car)
SELECT make, production_time FROM car_makers ORDER BY make ORDER BY production_time DESC LIMIT 1
SELECT DISTINCT car_names.model FROM car_names JOIN model_list ON car_names.modelid = model_list.model WHERE car_names.make = 'chevrolet' AND car_names.makeid = 'chevrolet' AND car_names.
SELECT accelerate FROM car_names WHERE make = 'amc hornet sportabout'
SELECT AVG(weight) FROM cars_data WHERE year = 1970
SELECT COUNT(*) FROM cars_data WHERE cylinder > 4
SELECT COUNT(*) FROM car_makers WHERE make = 'chevrolet' AND model = 'chevrolet chevelle malibu' AND make_name = 'chevrolet' AND model_name = 'chevrolet'
SELECT name, id FROM car_makers WHERE maker > 3
SELECT COUNT(*) FROM airlines WHERE country = 'USA'
SELECT COUNT(*) FROM flights WHERE city = 'Aberdeen'
SELECT airportcode FROM airports WHERE sourceairport = 'Aberdeen' AND destinationairport = 'Aberdeen' AND sourceairport = 'Aberdeen' AND destinationairport = 'Aberdeen' AND sourceairport = 'Aberdeen' AND destinationairport = 'Aberdeen
SELECT airline FROM airlines WHERE airline.airline < 200
SELECT flightno FROM flights WHERE sourceairport = 'APG'
SELECT COUNT(*) FROM flights WHERE city = 'Aberdeen' AND city = 'Abilene'
SELECT city FROM employee WHERE age < 30
SELECT name FROM shop WHERE manager_name != 'Hilf'
SELECT DISTINCT shop.name, COUNT(*) FROM employee JOIN shop ON employee.employee_id = shop.employee_id WHERE shop.name = 'FC Haka'
SELECT COUNT(*) FROM documents
SELECT COUNT(*) FROM templates WHERE template_type_code = 'PP'
SELECT COUNT(*) FROM templates
SELECT template_id FROM templates WHERE template_type_code = 'PP' OR template_type_code = 'PPT'
SELECT template_type_code, version_number FROM templates WHERE template_type_code = 'PP' AND version_number < 5
SELECT template_type_code FROM templates WHERE template_type_code < 3
SELECT template_type_code FROM documents WHERE template_id = 'Data base'
SELECT template_type_code, COUNT(*) FROM templates
SELECT template_id, template_name FROM paragraphs WHERE paragraph_text = 'Korea'
SELECT teacher.name FROM teacher JOIN course ON teacher.teacher_id = course.course.course
SELECT DISTINCT loser_name FROM players ORDER BY loser_name
SELECT player_name FROM matches WHERE loser_name = 'Serena Williams' AND winner_name = 'Petra Kvitova'
SELECT first_name, country_code FROM players ORDER BY first_name DESC LIMIT 1
SELECT player_name FROM players ORDER BY birth_date
SELECT name, rank FROM matches
SELECT first_name, country_code, birth_date FROM matches GROUP BY winner_rank_points HAVING COUNT(*) > 1
SELECT battle.name FROM battle JOIN ship ON battle.id = ship.id WHERE ship.lost_in_battle = 'Baldwin I' AND ship.lost_in_battle = 'Bulgarian commander'
SELECT name, result FROM battle WHERE lost_in_battle = 'English Channel'
SELECT COUNT(*) FROM degree_programs
SELECT semester_name, semester_id FROM semesters GROUP BY semester_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT first_name, middle_name, last_name FROM degree_programs JOIN semesters ON degree_programs.degree_summary_description = semesters.degree_summary_description WHERE degree_programs.degree_program_id = 2
SELECT course_name FROM courses WHERE student_id = (SELECT student_id FROM students WHERE last_name = 'ward' AND middle_name = 'balistreri' AND student_id = (SELECT student_id FROM students WHERE last_name = 'balistreri' AND middle_name
SELECT first_name, middle_name, last_name FROM students WHERE first_name = 'first_name' AND middle_name = 'middle_name' AND last_name = 'last_name'
SELECT address_id, lines FROM addresses GROUP BY address_id HAVING COUNT(*) > 1
SELECT AVG(transcript_date) FROM transcripts
SELECT transcript_date, transcript_id FROM transcripts ORDER BY transcript_date DESC LIMIT 1
SELECT transcript_date FROM transcripts WHERE transcript_id < (SELECT MIN(transcript_id) FROM transcripts)
SELECT section_name FROM section WHERE section_name = 'section_name'
SELECT HIGH_DISTINCT episode FROM tv_series GROUP BY episode ORDER BY HIGH_DISTINCT rating
SELECT HIGH_DISTINCT Weekly_Rank FROM tv_series WHERE episode = 'A Love of a Lifetime'
SELECT episode FROM tv_series WHERE series_name = 'Sky Radio'
SELECT episode FROM tv_series WHERE series_name = 'Sky Radio'
SELECT TV_series.channel FROM tv_series JOIN cartoon ON tv_series.id = cartoon.id WHERE tv_series.channel = 'Todd Casey'
SELECT pixel_aspect_ratio_par, country FROM tv_channels WHERE language != 'English' AND TV_channels.language != 'Italian'
SELECT DISTINCT money_rank FROM poker_player WHERE earnings > 189233
SELECT name FROM people WHERE people_id NOT IN (SELECT people.name FROM people JOIN poker_player ON people.people_id = poker_player.people_id)
SELECT area_code FROM contestants WHERE contestant_name = 'Tabatha Gehling' AND contestant_number = 2
SELECT name FROM country WHERE lifeexpectancy < (SELECT MIN(lifeexpectancy) FROM country WHERE code = 'Asia')
SELECT SUM(gnp) FROM country WHERE population = (SELECT MAX(gnp) FROM country)
SELECT MAX(gnp) FROM country
SELECT SUM(surfacearea) FROM country
SELECT COUNT(*) FROM countrylanguage GROUP BY countrylanguage.countrycode
SELECT SUM(country.language) FROM country JOIN countrylanguage ON country.code = country.code GROUP BY country.code
SELECT name FROM countrylanguage WHERE language = 'English' AND language = 'French'
SELECT country.continent FROM country JOIN city ON country.code = city.countrycode WHERE city.name = 'Kabol' AND city.area > (SELECT MAX(area) FROM city)
SELECT name, population, surfacearea FROM country WHERE population < (SELECT MIN(population) FROM country)
SELECT name FROM country ORDER BY country.code LIMIT 3
SELECT SUM(countrylanguage.percentage) FROM countrylanguage JOIN city ON countrylanguage.countrycode = city.countrycode GROUP BY countrylanguage.countrycode ORDER BY SUM(countrylanguage.percentage) DESC LIMIT 1
SELECT COUNT(*) FROM conductor
SELECT name FROM conductor ORDER BY age ASC
SELECT record_company FROM orchestra ORDER BY year_of_founded DESC LIMIT 1
SELECT name FROM conductor WHERE num_orchestra = (SELECT MAX(num_orchestra) FROM conductor)
SELECT name FROM conductor WHERE year_of_founded = 2008
SELECT year_of_founded FROM orchestra WHERE year_of_founded = (SELECT year_of_founded FROM orchestra WHERE year_of_founded = (SELECT year_of_founded FROM orchestra WHERE year_of_founded = (SELECT year_of_founded FROM orchestra WHERE year_of_founded = (
SELECT year_of_founding FROM orchestra WHERE year_of_founding = 1
SELECT name FROM highschooler WHERE grade = 10
SELECT name FROM highschooler WHERE student_id = (SELECT MAX(student_id) FROM highschooler)
SELECT name FROM highschooler WHERE name LIKE '%highschooler%'
SELECT name FROM friend WHERE student_id = (SELECT student_id FROM highschooler WHERE name = 'Kyle')
SELECT name FROM highschooler WHERE student_id NOT IN (SELECT student_id FROM friend)
SELECT AVG(age) FROM dogs WHERE treatments.date_of_treatment = (SELECT AVG(age) FROM treatments)
SELECT DISTINCT professional_id, DISTINCT last_name, DISTINCT cell_phone FROM professionals WHERE state = ' Indiana' ORDER BY DISTINCT last_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT owner_id, first_name, last_name FROM owners WHERE owner_id = (SELECT owner_id FROM dogs GROUP BY owner_id HAVING COUNT(*) > 1
SELECT name FROM breeds WHERE breed_name = 'BUL' ORDER BY COUNT(*) DESC LIMIT 1
SELECT owner_id, last_name FROM dogs GROUP BY owner_id HAVING COUNT(*) > (SELECT owner_id, last_name FROM dogs GROUP BY owner_id HAVING COUNT(*) > (SELECT owner_id, last_name FROM dogs)
SELECT treatment_type_description FROM treatment_types WHERE cost_of_treatment = (SELECT DISTINCT treatment_type_description FROM treatment_types GROUP BY treatment_type_description HAVING COUNT(*) < (SELECT DISTINCT treatment_type_description FROM treatment_types)
SELECT owner_id, zip_code FROM owners WHERE owner_id = '1' AND owner_id = '2'
SELECT owner_id, last_name, size_code FROM owners
SELECT DISTINCT cost_of_treatment FROM treatments ORDER BY cost_of_treatment DESC LIMIT 1
SELECT email, cell_phone, home_phone FROM professionals
SELECT birth_year, citizenship FROM singer
SELECT name FROM singer WHERE citizenship != 'France'
SELECT name FROM singer WHERE net_worth_millions > (SELECT MAX(net_worth_millions) FROM singer)
SELECT citizenship FROM singer WHERE birth_year = 1945 AND birth_year = 1955
SELECT feature_type_name FROM ref_feature_types WHERE feature_type_code = 'AirCon'
