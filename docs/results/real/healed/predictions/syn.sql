SELECT SUM(DISTINCT musical.name) FROM musical GROUP BY musical_name
SELECT stadium.name FROM stadium WHERE stadium.name = 'Festi'
SELECT id FROM student WHERE student.lname = 'lill-f'
SELECT id FROM student WHERE stuid = 'Fid'
SELECT name FROM student WHERE student.age > 10
SELECT name FROM student WHERE student.name = 'Ln'
SELECT manufacturer FROM car_name GROUP BY manufacturer_name
SELECT model_name, vehicle_list FROM model_name JOIN model ON model.model_name = model.model_name JOIN car ON model.model_name = car_list.model_name JOIN model ON model.model_name = model.model_name JOIN vehicle ON model
SELECT model_name FROM vehicle WHERE vehicle_name = 'Lights'
SELECT vehicle_name FROM vehicle WHERE year = 1
SELECT DISTINCT vehicle_list FROM vehicle GROUP BY vehicle_name
SELECT MAX(make) FROM car_horn)
SELECT AVG(weight) FROM vehicles
SELECT COUNT(*) FROM vehicles
SELECT COUNT(*) FROM country WHERE country = 'Austin'
SELECT manufacturer FROM manufacturers WHERE manufacturers.name = '3333'
SELECT COUNT(*) FROM airports
SELECT COUNT(DISTINCT city.city_code) FROM airports JOIN airports ON airports.city_code = airports.city_code WHERE city.city_code = 'Aair'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM flights WHERE airport = '200'
SELECT COUNT(DISTINCT airport.source_code) FROM flights WHERE airport_code = 'A airport'
SELECT COUNT(DISTINCT city.city_code) FROM airports WHERE city = 'A'
SELECT DISTINCT city FROM employee JOIN shop ON employee.city_id = shop.city_id WHERE age > 30
SELECT store_name FROM employee JOIN shop ON employee.employeeid = shop.employeeid WHERE shop.name = 'Sony'
SELECT COUNT(*) FROM store
SELECT COUNT(*) FROM ref_type_code WHERE ref_type_code = 'Paper_type'
SELECT COUNT(*) FROM ref_type_code WHERE text_type_code = 'PptP_code'
SELECT COUNT(*) FROM ref_type_code WHERE ref_type_code = 'Lan_code'
SELECT id FROM ref_type_code WHERE type_type_code = 'PPP_code'
SELECT edition_number, layout_type_code FROM ref_type_code JOIN template_type_code ON ref_type_code_code.ref_type_code = ref_type_code WHERE ref_type_code = '5555'
SELECT * FROM template_type_code WHERE type_type_code = 'Lan_type'
SELECT document_type_code FROM documents WHERE document_type_code = 'Data'
SELECT type_type_code FROM ref_type_code GROUP BY ref_type_code HAVING COUNT(*) >= 1
SELECT DISTINCT paragraph_code FROM paragraph GROUP BY paragraph_code
SELECT name FROM teacher GROUP BY faculty_name
SELECT COUNT(DISTINCT player.lname) FROM player
SELECT winery FROM player WHERE winery = 'Liquid'
SELECT name FROM player JOIN match_name ON player.match_id = match_name JOIN player ON player.player_id = player.player_id WHERE player.last_name = 'Gainage'
SELECT f_name FROM player
SELECT name FROM player_rank JOIN match_rankings ON player.match_rank = match_rankings.match_rankings = match_rankings.match_rankings
SELECT name FROM player_rank WHERE last_name = 'GENESCents')
SELECT DISTINCT acc_comm.bil_name, lattin_comm.lname = 'Kalberland'
SELECT DISTINCT result FROM battle JOIN ship ON battle_b_in_commers.b_in_commas = 'English'
SELECT COUNT(DISTINCT degrees_department_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_
SELECT semester.name FROM student_id JOIN student ON student.stm_id = student.stm_id
SELECT name FROM degree JOIN student_id ON degree_id = student_id
SELECT course.course_name, course.course_id FROM courses JOIN student ON courses.course_id = student.course_id WHERE course.course_id = 'Curriculum'
SELECT student_name, middle FROM student_rol_account
SELECT place_id, student_id FROM student_id JOIN student ON student.st_id = student_id WHERE student_id = 'Sony'
SELECT AVG(DISTINCT date) FROM student
SELECT date_record_details FROM student_details JOIN student ON student.stu_id = student_details JOIN student ON student_details.stu_id = student_details JOIN student ON student_details.stu_id = student_details JOIN student ON student_details.
SELECT date_id, date_of_student_rol_rol_id FROM student_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol_rol
SELECT h_name FROM addresses WHERE address_name = 'hpll_name'
SELECT SUM(score) FROM tv_channel
SELECT * FROM tv_channel WHERE hours = 'A'
SELECT channel_name FROM tv_channel WHERE channel_name = 'Sky'
SELECT * FROM tv_channel WHERE t_name = 'Sky'
SELECT country FROM tv WHERE animation = 'Tale'
SELECT * FROM channel_channel JOIN tv ON channel.channel_id = channel_id WHERE channel_name = 'english'
SELECT money_ranked, income FROM people JOIN people ON people.people_id = people.people_id WHERE people.people_id = 'money'
SELECT name FROM people WHERE people.people_name = 'Aama'
SELECT area_code FROM area_code WHERE area_code = 'Tabahahatha'
SELECT country.name FROM country WHERE country = 'Asia'
SELECT SUM(G) FROM country GROUP BY country.country_code
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT SUM(country) FROM country GROUP BY country.country ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(DISTINCT country.country) FROM city WHERE country = 'DESCribes'
SELECT SUM(DISTINCT country.name) FROM country JOIN country ON country.country_code = country.country_code GROUP BY country.country_code HAVING COUNT(*) >= 1
SELECT country.name FROM country JOIN city ON country.country = city.country JOIN city ON country.city_code = city.city_code WHERE country.country = 'english' AND city.country = 'english'
SELECT country.country FROM country WHERE country = 'Europe'
SELECT country.name FROM country WHERE country = 'Nurse' AND country.name = 'Nurse'
SELECT population FROM country WHERE country = '3' AND country = '3'
SELECT SUM(DISTINCT country.country) FROM country WHERE country = 'DESCribes'
SELECT COUNT(*) FROM conductor
SELECT name FROM orchestra GROUP BY director ORDER BY COUNT(*) DESC LIMIT 1
SELECT SUM(DISTINCT acc_of_by) FROM orchestra
SELECT director FROM conductor JOIN show_director ON show.director_id = director.director_id WHERE director.name = 'Dorman GROUP BY director_id ORDER BY DESC LIMIT 1
SELECT DISTINCT directed_by FROM orchestra GROUP BY directed_by ORDER BY COUNT(*) DESC LIMIT 2
SELECT performance.year, performance.performance.performance.performance.performance_id FROM performance JOIN performance ON performance.performance_id = performance.performance_id JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.year = 1
SELECT SUM(DISTINCT performance.performance_id) FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.year = 'Sony'
SELECT name FROM student WHERE student_id NOT IN (SELECT student.name FROM student WHERE student_id NOT IN (SELECT student.name FROM student WHERE student.name = 'Jigan'
SELECT student.name FROM friend JOIN student ON friend.friend_id = student.friend_id WHERE student.name = 'Sony'
SELECT name FROM student WHERE student_id NOT IN (SELECT student.name FROM student JOIN friend ON student.id = friend.id WHERE student.name = 'Dews')
SELECT name FROM friend WHERE student_id NOT IN (SELECT student.name FROM friend WHERE student_id NOT IN (SELECT student.name FROM friend WHERE student_id NOT IN (SELECT student.name FROM friend WHERE student.name = 'Kyle')
SELECT student.name FROM student JOIN friend ON student.friend_id = friend.friend_id WHERE student.name = 'J'
SELECT AVG(age) FROM dogs
SELECT DISTINCT state_id FROM professionals JOIN owners ON professionals.prof_id = owners.prof_id WHERE state_id NOT IN (SELECT state_id FROM professionals)
SELECT DISTINCT guardian_id FROM dog JOIN treatments ON dog.id = treatments.dog_id WHERE dog_id = 'Kie' AND treatment.dog_id = 'Kie'
SELECT name FROM breeds WHERE name = 'Breend'
SELECT guardian_id FROM treatment WHERE guardian_id NOT IN (SELECT guardian_id FROM treatment_id WHERE guardian_id NOT IN (SELECT guardian_id FROM treatment_id WHERE guardian_id NOT IN (SELECT guardian_id FROM treatment_id WHERE guardian_id NOT IN (SELECT guardian_id FROM treatment
SELECT COUNT(*) FROM treatment
SELECT guardian_id FROM dog_code JOIN people ON dog_code = people.people_id WHERE people.people_code = 'Pixel'
SELECT guardian_code FROM dog_code JOIN sizes ON dog_code = 'Kie'
SELECT COUNT(*) FROM treatment
SELECT email_address FROM veterinarian
SELECT birth_year, country FROM song JOIN song ON song.song_id = song.song_id WHERE song.country = 'Birth' AND song.birth_year = 'Sony'
SELECT name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'Sony' AND song.sales = 'Sony'
SELECT name FROM song WHERE net_worth = 'Netto'
SELECT SUM(birth) FROM song
SELECT COUNT(*) FROM ref_type
