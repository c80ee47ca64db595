SELECT SUM(singer_id) FROM singer
SELECT stadium.stadium_id, stadium.name FROM stadium JOIN stadium_id ON stadium.stadium_id = stadium_id GROUP BY stadium.stadium_id HAVING SUM(stadium_id) >= 5000 AND SUM(stadium_id)
SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT
SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE stuid NOT
SELECT student.fname, student.stuid FROM student JOIN pets ON student.fname = pets.fname JOIN pettype ON pettype = pets.pettype WHERE pettype = 'cat' AND student.lname = 'Smith' AND student.age = 18
SELECT name, gender FROM student WHERE stuid = '1001' AND stuid = '1002'
SELECT COUNT(*) FROM car_names GROUP BY car_name.make
SELECT MIN(model) FROM car_names WHERE model = 'amc'
SELECT vehicle_model FROM vehicle WHERE vehicle_model_list.modelid = AVG(vehicle_model_list.model)
SELECT make, production_time FROM car_makers ORDER BY make ORDER BY production_time DESC LIMIT 1
SELECT DISTINCT vehicle_model FROM vehicle_model WHERE year = 1980
SELECT accelerate FROM car_names WHERE make = 'amc hornet sportabout'
SELECT AVG(weight) FROM cars_data WHERE year = 1970
SELECT COUNT(*) FROM cars_data WHERE cylinders > 4
SELECT COUNT(*) FROM car_makers WHERE fullname = 'American Motor Company' AND country = '1980'
SELECT name, id FROM car_names WHERE model_list.model = 'chevrolet' AND model_list.modelid > 3
SELECT COUNT(*) FROM airlines WHERE country = 'USA'
SELECT COUNT(*) FROM flights WHERE city = 'Aberdeen'
SELECT DISTINCT airportname FROM airports WHERE airportcode = 'aerodrome'
SELECT airline FROM flights WHERE airline < 200
SELECT flightcode FROM flights WHERE sourceairport = 'APG'
SELECT COUNT(*) FROM flights WHERE city = 'Aberdeen' AND city = 'Abilene'
SELECT DISTINCT town FROM employee WHERE age < 30
SELECT name FROM employee WHERE employee_id NOT IN (SELECT DISTINCT employee_id FROM employee)
SELECT DISTINCT number_products, name FROM shop
SELECT COUNT(*) FROM ref_template_types WHERE template_type_code = 'paper'
SELECT COUNT(*) FROM templates WHERE template_type_code = 'PP'
SELECT DISTINCT template_type_code FROM templates WHERE template_type_code = 'layout'
SELECT template_id FROM ref_template_types WHERE template_type_code = 'PP' OR template_type_code = 'PPT'
SELECT edition_number, layout_type_code FROM ref_template_types WHERE edition_number > 5
SELECT template_type_code FROM ref_template_types ORDER BY template_type_code LIMIT 3
SELECT template_type_code FROM documents WHERE document_name = 'Data base'
SELECT template_type_name, COUNT(*) FROM templates GROUP BY template_type_name
SELECT template_id, template_name FROM paragraphs WHERE paragraph_text = 'Korea'
SELECT name FROM teacher WHERE name LIKE '%2%'
SELECT DISTINCT loser_name FROM players ORDER BY loser_name
SELECT player_name FROM matches WHERE loser_name = 'Serena Williams' AND winner_name = 'Petra Kvitova'
SELECT player_id, state_abbrev FROM players ORDER BY player_id DESC LIMIT 1
SELECT player_name FROM players ORDER BY birth_date DESC LIMIT 1
SELECT name, rank FROM players GROUP BY name ORDER BY ranked
SELECT winner_name, winner_id, winner_year FROM matches GROUP BY winner_id ORDER BY winner_rank DESC LIMIT 1
SELECT combat_name FROM battle WHERE latin_commander = 'Baldwin I' AND bulgarian_commander = 'Kaloyan'
SELECT name, results, bulgarian_commander FROM battle WHERE lost_in_battle = 'English Channel'
SELECT COUNT(*) FROM degree_programs
SELECT semester_name, semester_id FROM semester GROUP BY semester_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT student_enrolment.degree_program_id, student_enrolment.student_id, student_enrolment.student_name, student_enrolment.student_name, student_enrolment.student_id, student_enrolment.student_name, student
SELECT course_name FROM courses WHERE student_id = 1
SELECT first_name, middle_name, family_name FROM students WHERE first_name = 'first_name' AND middle_name = 'middle_name' AND family_name = 'first_name'
SELECT student_id, student_name FROM students GROUP BY student_id HAVING COUNT(*) > 1
SELECT AVG(date_first_registered) FROM students
SELECT date_first_registered, student_enrolment.student_id FROM students JOIN student_enrolment ON students.student_id = student_enrolment.student_id WHERE student_enrolment.student_id = 14
SELECT date_left FROM students WHERE student_id < (SELECT MIN(student_id) FROM students)
SELECT section_name FROM section WHERE section_name = 'section_name'
SELECT HIGH_DISTINCT episode FROM tv_series GROUP BY episode ORDER BY HIGH_DISTINCT HIGH_DISTINCT HIGH_DISTINCT HIGH_DISTINCT HIGH_DISTINCT HIGH_DISTINCT HIGH
SELECT HIGH_DISTINCT Weekly_Rank FROM tv_series WHERE episode = 'A Love of a Lifetime'
SELECT episode FROM tv_series WHERE series_name = 'Sky Radio'
SELECT episode FROM tv_series WHERE series_name = 'Sky Radio'
SELECT TV_series.channel FROM tv_series JOIN cartoon ON tv_series.id = cartoon.id WHERE tv_series.channel = 'Todd Casey'
SELECT pixel_aspect_ratio_par FROM tv_channel WHERE language != 'English' AND TV_channel.language != 'Italian'
SELECT DISTINCT money_rank FROM poker_player WHERE people_id = (SELECT DISTINCT people_id FROM people) ORDER BY DISTINCT people_id
SELECT name FROM people WHERE nationality != 'car'
SELECT area_code FROM area_code_state WHERE area_code_state.state = 'tabatha gehling' AND area_code_state.state = 'kelly clauss'
SELECT name FROM country WHERE nationality = 'Asia'
SELECT SUM(gnp) FROM country WHERE continent = 'Asia'
SELECT MAX(gnp) FROM country
SELECT SUM(country.continent) FROM country JOIN city ON country.countrycode = city.countrycode WHERE city.name = 'Aruba' AND city.name = 'Aruba'
SELECT COUNT(*) FROM countrylanguage GROUP BY countrylanguage.countrycode
SELECT SUM(country.language) FROM country JOIN countrylanguage ON country.code = country.code GROUP BY country.code
SELECT name FROM countrylanguage WHERE language = 'English' AND language = 'French'
SELECT DISTINCT country.continent FROM country JOIN city ON country.countrycode = city.countrycode GROUP BY city.countrycode HAVING DISTINCT country.continent > (SELECT DISTINCT country.continent FROM country JOIN city ON country.countrycode = city.country
SELECT name, founded year, territory FROM country WHERE population = (SELECT MIN(population) FROM country)
SELECT name FROM country ORDER BY country.code LIMIT 3
SELECT SUM(countrycode) FROM countrylanguage WHERE isofficial = 'Spanish'
SELECT COUNT(*) FROM conductor
SELECT name FROM conductor ORDER BY age ASC
SELECT record_record_name FROM orchestra ORDER BY year_of_founded DESC LIMIT 1
SELECT DISTINCT name FROM conductor WHERE age > 40
SELECT name FROM conductor WHERE year_of_work = 2008
SELECT year FROM performance WHERE type = 'Auditions' AND performance_id = 1
SELECT year_of_setting_up FROM performance WHERE type = 'Auditions' AND performance_id > 1
SELECT name FROM highschooler WHERE grade = 10
SELECT name FROM friend GROUP BY student_id HAVING COUNT(*) > 1
SELECT name FROM friend WHERE student_id IN (SELECT student_id FROM highschooler WHERE name LIKE '%3%'
SELECT name FROM friend WHERE student_id = (SELECT student_id FROM highschooler WHERE name = 'Kyle')
SELECT name FROM friend
SELECT AVG(age) FROM dogs WHERE age != '6'
SELECT owner_id, last_name, cell_phone FROM owners WHERE state = 'Indiana' AND owners.state = 'Indiana' AND owners.last_name = 'Taryn' AND owners.last_name = 'Jayson' AND owners.state = 'Indiana' AND
SELECT DISTINCT owner_id, DISTINCT dog_id FROM dogs GROUP BY owner_id ORDER BY DISTINCT dog_id DESC LIMIT 1
SELECT name FROM breeds WHERE breed_name = 'BUL' ORDER BY COUNT(*) DESC LIMIT 1
SELECT DISTINCT guardian_id, DISTINCT family_name FROM dogs GROUP BY guardian_id ORDER BY DISTINCT family_name
SELECT DISTINCT cost_of_treatment FROM charges WHERE total_cost_of_treatment = (SELECT DISTINCT cost_of_treatment FROM charges WHERE total_cost_of_treatment = (SELECT DISTINCT cost_of_treatment FROM charges WHERE total_cost_of_treatment
SELECT guardian.owner_id, zip_code FROM owners JOIN professionals ON owners.owner_id = professionals.owner_id WHERE professionals.role_code = 'Guardian' AND professionals.professional_id = 'largest'
SELECT guardian.name, guardian.last_name, sizes.size_description FROM dogs JOIN sizes ON dogs.size_code = sizes.size_code WHERE dogs.owner_id = 3 AND dogs.size_code = 'LGE'
SELECT DISTINCT cost_of_treatment FROM charges WHERE charge_type = 'daily accommodation'
SELECT email, cell_number, home_phone FROM owners
SELECT birth_year, country FROM singer
SELECT name FROM singer WHERE citizenship != 'France'
SELECT name FROM singer WHERE net_worth_millions > (SELECT MAX(net_worth_millions) FROM singer)
SELECT citizenship FROM singer WHERE birth_year = 1945 AND birth_year = 1955
SELECT feature_type_code FROM ref_feature_types WHERE feature_type_code = 'AirCon'
