SELECT SUM(DISTINCT musical.name) FROM musical GROUP BY musical_name
SELECT stadium.name FROM stadium WHERE number = 200000000000000000000000000000000000000000000000000000
SELECT id FROM student WHERE student.lname = 'lillinois'
SELECT id FROM student WHERE stuid = 'Fid'
SELECT name FROM student WHERE age < (SELECT student.age FROM student WHERE student.age > 19
SELECT name FROM student WHERE student.name = 'L'
SELECT COUNT(*) FROM model_name
SELECT MIN(horses) FROM model WHERE model_name = 'vehicle'
SELECT model_name FROM vehicle WHERE model_name = 'L'
SELECT vehicle_id FROM vehicle WHERE year = 1
SELECT DISTINCT vehicle_list FROM vehicle GROUP BY vehicle_name
SELECT MAX(make) FROM car ORDER BY acceleration BY MAX(make) DESC LIMIT 1
SELECT AVG(weight) FROM vehicles
SELECT COUNT(*) FROM vehicles
SELECT COUNT(*) FROM country WHERE country = 'Austin'
SELECT manufacturer FROM model_name WHERE manufacturers.name = '3333'
SELECT COUNT(*) FROM airports WHERE country = 'United States'
SELECT COUNT(DISTINCT city.city_code) FROM flights WHERE city = 'A'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM flights WHERE length > 200
SELECT COUNT(DISTINCT airport.source_code) FROM flights WHERE airport_code = 'A' AND airport.source_code = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT DISTINCT city FROM employee JOIN shop ON employee.city_id = shop.city_id WHERE age > 100
SELECT store_id FROM employee JOIN shop ON employee.id = shop.id GROUP BY store_id HAVING COUNT(*) >= 1
SELECT COUNT(*) FROM store
SELECT COUNT(*) FROM ref_type_code WHERE ref_type_code = 'Paper'
SELECT COUNT(*) FROM ref_type_code WHERE text_type_code = 'PptP_code'
SELECT COUNT(*) FROM ref_type
SELECT id FROM ref_type_code WHERE type_type_code = 'PPP_code'
SELECT edition_number, layout_type_code FROM ref_type_code JOIN template_type_code ON ref_type_code.ref_type_code = template_type_code WHERE ref_type_code = '5555'
SELECT * FROM ref_type_code WHERE type_type_code = 'Lan-type'
SELECT document_type_code FROM documents WHERE document_type_code = 'Data'
SELECT type_type_code FROM ref_type_code GROUP BY ref_type_code HAVING COUNT(*) >= 2
SELECT DISTINCT paragraph_type FROM paragraph GROUP BY paragraph_id
SELECT name FROM teacher GROUP BY faculty.name
SELECT COUNT(*) FROM player
SELECT name FROM player WHERE winery = 2013 OR winery = 2013
SELECT name FROM player WHERE last_name = 'Gainage'
SELECT name FROM player WHERE birth_date = 'L'
SELECT name FROM player GROUP BY youngest_rank ORDER BY COUNT(*) DESC LIMIT 3
SELECT name FROM player WHERE last_ranked = 'Gainage'
SELECT DISTINCT acc_comm.bil_name, lattin_commid FROM battle_commision JOIN battle ON battle.b_id = battle_comm.bil_id WHERE battle_commisions.bil_id = 'Kalberland'
SELECT DISTINCT result FROM battle JOIN ship ON battle_biligan_commets.b_in_commets = 'English'
SELECT COUNT(DISTINCT degrees_department_rol_rol_rol_department_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_
SELECT name FROM student WHERE semester = 'Spring' AND semester = 'Spring'
SELECT name FROM degree WHERE degree_name = 20
SELECT course.course_name, course.course_id FROM courses JOIN student ON courses.course_id = student.course_id WHERE course.course_id = 'Curriculum'
SELECT student_name, middle FROM student
SELECT place_id, student_id FROM student ORDER BY LIMIT 1
SELECT AVG(DISTINCT date) FROM student
SELECT date_record_details FROM student
SELECT date_id, date_of_student_rol_id FROM student_rol_rol_id JOIN student ON student_id = student_rol_rol_rol_id WHERE student_rol_rol_rol_id = 'Liquid'
SELECT hpa_name FROM addresses WHERE address_name = 'hpll'
SELECT SUM(score) FROM tv_channel
SELECT * FROM tv WHERE hours = 'A'
SELECT channel_name FROM channel WHERE channel_name = 'Sky'
SELECT * FROM tv_channel WHERE t_name = 'Sky'
SELECT country FROM tD WHERE tD = 'Dollars'
SELECT * FROM channels WHERE channel_of_channels = 'english'
SELECT money_ranked, people.people_rank FROM people JOIN people ON people.people_id = people.people_id WHERE people.people_id = 'money'
SELECT name FROM people WHERE people.name = 'A'
SELECT area_code FROM area WHERE area_code = 'Tab'
SELECT name FROM country WHERE country = 'Asia'
SELECT SUM(G) FROM country WHERE country = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT SUM(country) FROM country GROUP BY country ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(DISTINCT country.country) FROM city WHERE country = 'DESCribes'
SELECT SUM(name) FROM country WHERE country = 'Aama'
SELECT country.name FROM country WHERE country = 'english'
SELECT country.country FROM country WHERE country = 'Europe'
SELECT country.name FROM country WHERE country = 'Alme' AND country.name = 'Almeida'
SELECT population FROM country WHERE country = '3' AND country = '3'
SELECT SUM(DISTINCT country.country) FROM city WHERE country = 'DESCribes'
SELECT COUNT(*) FROM conductor
SELECT name FROM conductor GROUP BY director ORDER BY COUNT(*) DESC LIMIT 1
SELECT SUM(DISTINCT acc_of_by) FROM orchestra
SELECT director FROM conductor JOIN show_director ON show.director_id = director.director_id WHERE director.name = 'Dorman GROUP BY director.director_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT DISTINCT directed_by FROM orchestra GROUP BY director_of_director ORDER BY COUNT(*) DESC LIMIT 2
SELECT performance.year, performance.year FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.year = 1 AND performance.year = 10
SELECT SUM(DISTINCT performance.performance_id) FROM performance JOIN show_performance ON performance.performance_id = performance.performance_id WHERE performance.year = 20
SELECT name FROM student WHERE student_id NOT IN (SELECT student.name FROM student WHERE student.name = 'Jigan'
SELECT student.name FROM friend GROUP BY student.name
SELECT name FROM student WHERE student.name = 'J'
SELECT name FROM friend WHERE student.name = 'Kear'
SELECT name FROM student WHERE student_id NOT IN (SELECT student.name FROM student WHERE student_id NOT IN (SELECT student.name FROM student WHERE student.name = 'friend'
SELECT AVG(age) FROM dogs
SELECT DISTINCT state_id FROM professionals JOIN owners ON professionals.prof_id = owners.prof_id GROUP BY state_id HAVING COUNT(*) >= 2
SELECT DISTINCT guardian_id FROM treatment JOIN people ON treatment.people_id = people.people_id WHERE people.name = 'K' AND people.people_id = 'Kear'
SELECT name FROM breeds WHERE name = 'Breend'
SELECT guardian_id FROM treatment WHERE name = 'Alme'
SELECT COUNT(*) FROM treatment
SELECT guardian_id FROM dog_id JOIN people ON people.people_id = people.people_id WHERE people.people_code = 'Pixel'
SELECT guardian_code FROM dog_code GROUP BY guardian_code HAVING SUM(G) > 1
SELECT COUNT(*) FROM treatment
SELECT email_address FROM veterinarian
SELECT birth_year, country FROM song JOIN song ON song.song_id = song.song_id WHERE song.country = 'Birth' AND song.birth_year = 'Voice'
SELECT name FROM song WHERE citizenship = 'Sony'
SELECT name FROM song WHERE net_worth = 'Netto'
SELECT SUM(birth) FROM song WHERE year = 1955 AND year = 1955
SELECT COUNT(*) FROM ref_features
