SELECT SUM(DISTINCT musical) FROM musical GROUP BY musical_name
SELECT stadium FROM stadium WHERE venue.name = 200000000000000000000000000000000000000000000000000000
SELECT id FROM student WHERE student.id = 'Fid'
SELECT id FROM student WHERE stuid = 'F'
SELECT name FROM student WHERE student.age > 10
SELECT name FROM student WHERE student.name = 'L'
SELECT COUNT(*) FROM model_name
SELECT MIN(horses) FROM model WHERE model_name = 'vehicle'
SELECT model_name FROM vehicle WHERE vehicle_name = 'L'
SELECT vehicle FROM vehicle WHERE year = 12 AND year = 20
SELECT DISTINCT vehicle_name FROM vehicle GROUP BY vehicle_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT MAX(make) FROM car ORDER BY MAX(make) DESC LIMIT 1
SELECT AVG(weight) FROM vehicles
SELECT COUNT(*) FROM vehicles
SELECT COUNT(*) FROM country WHERE country = 1990
SELECT manufacturer FROM model_name WHERE manufacturers.name = '333'
SELECT COUNT(*) FROM airports WHERE country = 'United'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM flights WHERE city = 200
SELECT COUNT(*) FROM flights WHERE airport = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT DISTINCT city FROM employee JOIN shop ON employee.city_id = shop.city_id WHERE age > 100
SELECT store_name FROM employee WHERE name = 'German'
SELECT COUNT(*) FROM store
SELECT COUNT(*) FROM paper_type_code WHERE paper_type_code = 'Paper'
SELECT COUNT(*) FROM ref_type_code WHERE text_type_code = 'Ppt'
SELECT COUNT(*) FROM ref_type
SELECT id FROM ref_type_code WHERE type_type_code = 'PPP_code'
SELECT edition_type_code FROM ref_type_code WHERE ref_type_code = 5
SELECT * FROM ref_type_code WHERE type_type_code = '33'
SELECT document_name FROM documents WHERE document_type_code = 'Data'
SELECT type_type_code FROM ref_type_code GROUP BY ref_type_code HAVING COUNT(*) > 1
SELECT DISTINCT paragraph_type FROM paragraph GROUP BY paragraph_id
SELECT name FROM teacher
SELECT COUNT(*) FROM player
SELECT name FROM player WHERE winery = 2013 OR winery = 2013
SELECT name FROM player WHERE last_name = 'Gainage'
SELECT name FROM player WHERE birth_date = 'L'
SELECT name FROM player ORDER BY youngest_rank DESC LIMIT 3
SELECT name FROM player WHERE last_name = 'GENESC LIMIT 1
SELECT DISTINCT acc_comm.b_in_commid FROM battle_commid JOIN ship ON battle.b_id = ship_id WHERE battle_id = 'Kalber'
SELECT DISTINCT result FROM battle JOIN ship ON battle.id = ship.id WHERE state = 'English' AND state = 'English'
SELECT COUNT(*) FROM student
SELECT name FROM student WHERE semester = 'Spring' AND semester = 'Spring'
SELECT name FROM student_id WHERE degree_name = 20
SELECT course.course_name, course.course_id FROM course JOIN student ON course.course_id = student.course_id WHERE course.course_id = 'course'
SELECT student_name FROM student WHERE student_id NOT IN (SELECT student_name FROM student)
SELECT place_id, student_id FROM student ORDER BY LIMIT 1
SELECT AVG(date) FROM student
SELECT date_id, student_details FROM student
SELECT date_id, student_name FROM student ORDER BY DESC LIMIT 1
SELECT h_name FROM addresses WHERE address = 'h'
SELECT SUM(score) FROM tv_channel
SELECT * FROM tv WHERE state = 'A'
SELECT channel_name FROM tv_channel WHERE (SELECT channel_name FROM tv_channel WHERE channel_name = 'Sky')
SELECT * FROM tv_channel WHERE t_name = 'Sky'
SELECT country FROM tv WHERE category = 'T'
SELECT * FROM channels WHERE channel_name = 'english'
SELECT money_ranked FROM people ORDER BY money_rank LIMIT 1
SELECT name FROM people WHERE people.name = 'A'
SELECT area_code FROM area WHERE area_code = 'Kie'
SELECT country.name FROM country WHERE country = 'Asia'
SELECT SUM(G) FROM country WHERE country = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT SUM(country) FROM country WHERE country = 'Asia'
SELECT COUNT(DISTINCT country.country) FROM city WHERE country = 'DISTINCT country'
SELECT SUM(name) FROM country WHERE country = 'A'
SELECT country.name FROM country WHERE country = 'english'
SELECT country.country FROM country WHERE country = 'Europe'
SELECT country.name FROM country WHERE country = 'N'
SELECT population FROM country WHERE country = '3' AND country.country = '3'
SELECT SUM(DISTINCT country.country) FROM country WHERE country = 'D'
SELECT COUNT(*) FROM conductor
SELECT name FROM orchestra GROUP BY director ORDER BY DESC LIMIT 1
SELECT SUM(year) FROM orchestra GROUP BY SUM(year) ORDER BY SUM(year) DESC LIMIT 1
SELECT director FROM conductor JOIN show_name ON show.id = show.id WHERE show.name = 'Dorman GROUP BY director.name ORDER BY DESC LIMIT 1
SELECT DISTINCT director FROM orchestra GROUP BY director ORDER BY COUNT(*) DESC LIMIT 2008
SELECT year FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.year = 1 AND performance.year = 10
SELECT SUM(DISTINCT performance.performance_id) FROM performance JOIN show_performance ON performance.performance_id = performance.performance_id WHERE performance.year = 10
SELECT name FROM student WHERE student_id NOT IN (SELECT student.name FROM student WHERE student.name = 100
SELECT student.name FROM friend JOIN student ON friend.friend_id = student.friend_id WHERE student.name = 'Sony'
SELECT name FROM student WHERE student.name = 3
SELECT name FROM friend WHERE student.name = 'K'
SELECT name FROM student WHERE student_id NOT IN (SELECT student.name FROM student WHERE student.name = 'J'
SELECT AVG(age) FROM dogs
SELECT DISTINCT state_id FROM people JOIN country ON people.people_id = country.people_id WHERE state = 'Indian' AND state_id = 'DESC LIMIT 1
SELECT DISTINCT guardian_id FROM treatment JOIN people ON treatment.id = people.people_id WHERE people.name = 'K' AND people.people_id = people.people_id GROUP BY people.people_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT name FROM breeds WHERE name = 'F'
SELECT guardian_id FROM treatment WHERE name = 'Alaska'
SELECT COUNT(*) FROM treatments
SELECT guardian_id FROM employees WHERE total_of_people.total_id = 'Pixel'
SELECT guardian_name FROM dog_code WHERE size = 'K' AND last_name = 'K'
SELECT COUNT(*) FROM treatments
SELECT email_address FROM veterinarian
SELECT birth_year, country FROM song JOIN song ON song.song_id = song.song_id WHERE song.country = 'B' AND song.country = 'V'
SELECT name FROM song WHERE citizenship = 'Sony'
SELECT name FROM song WHERE net_year = 'Net'
SELECT SUM(birth) FROM song WHERE year = 1955 AND year = 1955
SELECT COUNT(*) FROM ref_type
