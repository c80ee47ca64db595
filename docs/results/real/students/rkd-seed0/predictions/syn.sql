SELECT SUM(musical) FROM musical GROUP BY musical_name
SELECT stadium.name FROM stadium WHERE number = 200000000000000000000000000000000000000000000000000000
SELECT id, stuid FROM student JOIN student ON student.stuid = student.stuid WHERE student.stuid = 'F'
SELECT id FROM student WHERE age < (SELECT id FROM student WHERE age < (SELECT id FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM student WHERE age < (SELECT stuid FROM
SELECT name FROM student WHERE age < (SELECT student.age FROM student WHERE age < 15
SELECT name FROM student WHERE student.name = 'L'
SELECT COUNT(*) FROM car
SELECT model_name, vehicle_list FROM model_name JOIN model ON model_name = model.model_name GROUP BY model.model_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT model_name FROM vehicle WHERE model_name = 'L'
SELECT vehicle_id FROM vehicle WHERE year = 15 AND year = 20
SELECT DISTINCT vehicle_list FROM vehicle GROUP BY vehicle_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT MAX(make) FROM car ORDER BY acceleration BY MAX(make) DESC LIMIT 1
SELECT AVG(weight) FROM vehicles
SELECT COUNT(*) FROM vehicles
SELECT COUNT(*) FROM country WHERE country = 'Austin'
SELECT manufacturer FROM model_name JOIN model_name ON model_name = model.model_name GROUP BY manufacturer.model_name ORDER BY COUNT(*) DESC LIMIT 3
SELECT COUNT(*) FROM airports WHERE country = 'United States'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM flights WHERE airport = 200
SELECT COUNT(*) FROM flights WHERE airport = 'A'
SELECT COUNT(*) FROM flights WHERE city = 'A'
SELECT city FROM employee WHERE age < 10
SELECT store_id, store_name FROM employee JOIN shop ON employee.employee_id = shop_id WHERE store_id = 'Sony'
SELECT COUNT(*) FROM store
SELECT COUNT(*) FROM paper_type_code WHERE paper_type_code = 'Paper'
SELECT COUNT(*) FROM ref_type_code WHERE text_type_code = 'Ppt'
SELECT COUNT(*) FROM ref_type_code WHERE ref_type_code = 'L'
SELECT id FROM ref_type_code WHERE type_type_code = 'PPP'
SELECT edition_type_code FROM ref_type_code WHERE ref_type_code = 5
SELECT layout_type_code FROM ref_type_code GROUP BY layout_type_code HAVING COUNT(*) >= 2
SELECT document_type_code FROM documents JOIN ref_type_code ON documents.document_type_code = ref_type_code WHERE document_type_code = 'Data'
SELECT type_type_code FROM ref_type_code GROUP BY type_type_code HAVING COUNT(*) > 1
SELECT DISTINCT paragraph_type FROM paragraph GROUP BY paragraph_id
SELECT name FROM teacher GROUP BY university_name
SELECT COUNT(*) FROM player
SELECT name FROM player WHERE player_name = 2013
SELECT name FROM player WHERE last_name = 'Gainage'
SELECT name FROM player WHERE birth_date = 'L'
SELECT name FROM player ORDER BY youngest_rank DESC LIMIT 3
SELECT participant_name FROM player JOIN match_rankings ON player.match_id = match_rankings.match_id WHERE match_ranked = 'Gwin'
SELECT DISTINCT battle_comm.bil_name, battle_commid FROM battle_commings JOIN ship ON battle.b_id = ship_comm.b_id WHERE battle_commid = 'Kalberton'
SELECT DISTINCT result FROM battle JOIN ship ON battle_biligan_commets.b_in_vilance = ship_in_biliganance.b_in_vilance_in_commadership_commets.b_in_commadership_comm
SELECT COUNT(*) FROM student
SELECT name FROM student WHERE semester = 'Spring' AND semester = 'Spring'
SELECT name FROM degree WHERE degree_name = 20
SELECT course.course_name, course.course_id FROM courses JOIN student ON courses.course_id = student.course_id WHERE course.course_id = 'Curriculum'
SELECT student_name, middle FROM student
SELECT place_id, student_id FROM student ORDER BY location DESC LIMIT 1
SELECT AVG(date) FROM student
SELECT date_record_details FROM student
SELECT date_id, student_name FROM student JOIN student ON student.student_id = student_id WHERE student.date_id = 'Sony'
SELECT hm_name, section_name FROM addresses JOIN addresses ON addresses.address_id = addresses.address_id GROUP BY address.address_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT SUM(score) FROM tv
SELECT show_rank FROM tv WHERE state = 'A'
SELECT channel_name FROM channel WHERE channel_name = 'Sky'
SELECT * FROM tv_channel WHERE t_name = 'Sky'
SELECT country FROM tv WHERE animation = 'Tale'
SELECT * FROM channels WHERE channel_of_channel_id NOT IN (SELECT channel_name FROM channels WHERE channels.language_id NOT IN (SELECT channel_name FROM channels WHERE channels.language_id = 'English')
SELECT money_ranked, people.people_id FROM people JOIN people ON people.people_id = people.people_id WHERE people.people_id = 'Car'
SELECT name FROM people WHERE people.name = 'A'
SELECT area_code FROM area WHERE area_code = 'Tab'
SELECT name FROM country WHERE country = 'Asia'
SELECT SUM(G) FROM country WHERE country = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT SUM(country) FROM country WHERE country = 'Asia'
SELECT COUNT(DISTINCT country.country) FROM city WHERE country = 'Dutch'
SELECT SUM(name) FROM country WHERE country = 'A'
SELECT country.name FROM country JOIN city ON country.city_code = city.city_code WHERE country.country = 'english' AND country.country = 'english'
SELECT country FROM country WHERE country = 'Europe'
SELECT country.name FROM country WHERE country = 'N'
SELECT population FROM country WHERE country = '3' AND country = '3'
SELECT SUM(DISTINCT country.country) FROM city WHERE country = 'D' AND country.country = 'DESC
SELECT COUNT(*) FROM conductor
SELECT name FROM orchestra GROUP BY director ORDER BY COUNT(*) DESC LIMIT 1
SELECT SUM(year) FROM orchestra GROUP BY SUM(year) ORDER BY COUNT(*) DESC LIMIT 1
SELECT director FROM conductor JOIN show_director ON show.director_id = show.director_id WHERE show.name = 'Alme' AND director.name = 'Alme'
SELECT DISTINCT director FROM orchestra GROUP BY director ORDER BY COUNT(*) DESC LIMIT 200
SELECT performance.year, performance.year FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.year = 10
SELECT SUM(year) FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.year = 20
SELECT name FROM student WHERE student_id NOT IN (SELECT student.name FROM student WHERE student.name = 100
SELECT student.name FROM friend JOIN high_id ON friend.friend_id = student.friend_id WHERE friend.name = 'Sony'
SELECT name FROM student WHERE student.name = 3
SELECT name FROM friend WHERE student.name = 'K'
SELECT name FROM student WHERE student_id NOT IN (SELECT student.name FROM student WHERE student_id NOT IN (SELECT student.name FROM student JOIN friend ON student.id = friend.id WHERE student.name = 'J'
SELECT AVG(age) FROM dogs
SELECT DISTINCT state_id FROM professionals JOIN owners ON professionals.prof_id = owners.prof_id WHERE state_id = 'Indian'
SELECT DISTINCT guardian_id FROM treatment JOIN people ON treatment.people_id = people.people_id WHERE people.name = 'K' AND people.people_id = 'K'
SELECT name FROM breeds WHERE name = 'Breend'
SELECT guardian_id, city_id FROM treatment JOIN dog ON treatment.dog_id = dog_id WHERE treatment_id = 'K' AND treatment.dog_id = 'Kepro_id'
SELECT COUNT(*) FROM treatments
SELECT guardian_id, zip_code FROM dog JOIN people ON people.people_id = people.people_id WHERE people.people_code = 'Pixel'
SELECT guardian_name FROM dog_code WHERE size = 'K' AND last_name = 'Guardan'
SELECT COUNT(*) FROM treatments
SELECT email_address FROM veterinarian
SELECT birth_year, country FROM song JOIN song ON song.song_id = song.song_id WHERE song.country = 'B' AND song.birth_year = 'Bewsengers'
SELECT name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'Sony' AND song.name = 'Sony'
SELECT name FROM song WHERE net_worth = 'Net'
SELECT SUM(birth) FROM song JOIN song ON song.song_id = song.song_id WHERE song.birth_year = 1955
SELECT COUNT(*) FROM ref_features
