SELECT name FROM singer WHERE age > 12
SELECT country FROM singer WHERE country = 'Sony'
SELECT stadium.name FROM stadium WHERE stadium = 'Sony'
SELECT COUNT(*) FROM stadium GROUP BY stadium.name
SELECT COUNT(*) FROM stadium GROUP BY stadium_id
SELECT COUNT(*) FROM student
SELECT stuid FROM student WHERE student.lname = 'F'
SELECT MAX(pname) FROM student
SELECT stuid FROM student WHERE stuid = 'Fid'
SELECT stuid FROM student WHERE stuid = 'Fid'
SELECT stuid FROM student WHERE student_name NOT IN (SELECT stuid FROM student WHERE student_name NOT IN (SELECT stuid FROM student WHERE student_name = 'Dies')
SELECT type_weight FROM pets JOIN has_weight ON pets.petid = has_weight GROUP BY pet_weight ORDER BY COUNT(*) DESC LIMIT 1
SELECT stuid FROM student WHERE age < 3
SELECT COUNT(*) FROM car_name
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT manufacturer FROM car_name JOIN model_name ON car_name = model.model_name GROUP BY manufacturer.model_name ORDER BY COUNT(*) DESC LIMIT 3
SELECT vol_name FROM model_lists JOIN car_lists ON model_lists.model_name = car_lists.model_name JOIN model_lists ON model_lists.model_name = model_lists.model_name JOIN car_lists ON car_lists.model_name =
SELECT country FROM car_name JOIN car ON car_name = car_makers.country_name WHERE country = 'fits' AND country = 'f'
SELECT country FROM airports WHERE country = 'Jet'
SELECT COUNT(*) FROM airlines WHERE airline.transactions = 'Ulaine'
SELECT COUNT(*) FROM airlines JOIN flights ON airlines.city_id = flights.city_id WHERE airlines.country = 'US Angeles'
SELECT airport.name FROM airports JOIN flights ON airports.city_code = flights.city_code WHERE city = 'Aair' AND city = 'Aberain'
SELECT COUNT(DISTINCT source_code) FROM flights JOIN airports ON flights.source_code = airports.source_code WHERE source_code = 'A' AND source_code = 'Aurtain'
SELECT COUNT(DISTINCT city) FROM flights
SELECT COUNT(*) FROM flights JOIN airlines ON flights.id = airlines.id WHERE airlines.source = 'United Airlines'
SELECT COUNT(*) FROM airlines WHERE COUNT(*) FROM airlines WHERE airlines.name = 'CV'
SELECT COUNT(*) FROM flights WHERE airline.distance = 'United Airlines'
SELECT flight.sourcecode FROM flights JOIN airports ON flights.source_code = airports.source_code WHERE airport.source_code = 'Aurtain'
SELECT DISTINCT city.city FROM flights JOIN airports ON flights.city_code = airports.city_code WHERE city.city_code = 'Aberain'
SELECT DISTINCT airport.city FROM flights JOIN airports ON flights.city_code = airports.city_code WHERE airport.city_code = 'Aberain'
SELECT COUNT(DISTINCT city.city_code) FROM airports WHERE city = 'A'
SELECT employee.name FROM employee JOIN shop ON employee.age = shop.age > 20
SELECT name FROM employees GROUP BY youngest_name
SELECT employee.name FROM employee JOIN shop ON employee.employee_id = shop.employee_id WHERE employee.name = 'L'
SELECT shop_name FROM employee JOIN shop_name ON employee.employee_id = shop_id GROUP BY shop_name
SELECT DISTINCT teacher_district_arrange.teacher_id FROM teacher_district JOIN course ON teacher_district.course_id = course_district.course_id GROUP BY teacher_district_id HAVING COUNT(*) >= 2
SELECT teachers.name FROM course JOIN teacher ON course.course_id = teacher.course_id WHERE course.name = 'Alme'
SELECT AVG(age) FROM visitor
SELECT museum.name FROM museum WHERE age > 10
SELECT winery FROM player WHERE winery = 'Liquid'
SELECT country FROM player WHERE player.first_name = 'wyn'
SELECT player.country FROM player JOIN rankings ON player.country_id = rankings.country_id GROUP BY player.country_id HAVING COUNT(*) > 1
SELECT COUNT(*) FROM player
SELECT COUNT(*) FROM player
SELECT COUNT(*) FROM player
SELECT COUNT(*) FROM ship_to_ship WHERE ship_of_battle_id = 'captured'
SELECT ship_id, name FROM ship JOIN battle ON ship_id = 'total'
SELECT zip_postcode FROM addresses WHERE zip_postcode = 'Chels'
SELECT student_name FROM student GROUP BY student_name
SELECT phone_number, last_name FROM student WHERE last_name = 'Mootmck'
SELECT student_id, student_name FROM student_id JOIN student ON student_id = student_id WHERE student_id NOT IN (SELECT student_id FROM student_id WHERE student_id NOT IN (SELECT student_id FROM student_id WHERE student_id NOT IN (SELECT student_id
SELECT name FROM cartoons ORDER BY DESC LIMIT 1
SELECT DISTINCT directed_by.title FROM cartoon_channel JOIN channel ON cartoon.channel_id = channel.channel_id WHERE channel_name = 'Dormator'
SELECT tid FROM cartoon WHERE t2.name = 'Benny' AND t2.tibetain_channel = 'Benny'
SELECT country FROM tv_channel WHERE channel_name = 'Ch'
SELECT channel_name FROM channel_channel WHERE channel_name = 'Sky'
SELECT SUM(DISTINCT channel_name) FROM channel
SELECT DISTINCT series_name FROM tv_channel JOIN tv_channel ON tv_channel.id = tv_channel.id WHERE channel_name = 'A'
SELECT country FROM cartoon_by WHERE category = 'Dollars'
SELECT DISTINCT country FROM channel JOIN tibchan ON tibbon.tilies = t2.tilies.tilies_by FROM tibbon JOIN tilies ON tib_by_series.tilies = t_by.tilies.t
SELECT * FROM channel WHERE channel_name = 'english'
SELECT DISTINCT channel_id FROM channel JOIN t_channel ON channel.channel_id = t_channel.channel_id JOIN t_channel ON t_channel.channel_id = t_channel.channel_id WHERE t_channel.channel_id = 'Benny'
SELECT mony_id, COUNT(*) FROM poker_player
SELECT country FROM people GROUP BY country ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM country WHERE country = 'K'
SELECT AVG(country) FROM country WHERE country = 'Central'
SELECT COUNT(*) FROM country WHERE country = 'German'
SELECT population FROM country GROUP BY population ORDER BY COUNT(*) DESC LIMIT 1
SELECT population FROM country GROUP BY population ORDER BY population DESC LIMIT 1
SELECT COUNT(*) FROM country WHERE country = 'Af'
SELECT COUNT(DISTINCT country.country.code) FROM country JOIN country ON country.country_code = country.country_code GROUP BY country.country_code
SELECT country.country FROM country WHERE country = 'Republican'
SELECT population FROM country WHERE country = 'english'
SELECT country.country FROM country WHERE country = 'African'
SELECT COUNT(*) FROM country WHERE country = 'english'
SELECT city.country FROM city WHERE country = 'Asian'
SELECT DISTINCT city.name FROM city WHERE country = 'China' AND city.country = 'Asia'
SELECT name FROM country WHERE country = 'Autinician'
SELECT population FROM country WHERE country = '3' AND country = '3'
SELECT country.name FROM country WHERE country = '3'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT COUNT(*) FROM country WHERE country = 'Asia'
SELECT city.name FROM city WHERE city = '160000000000000000000000000000000000000000000000000000
SELECT MAX(is) FROM country WHERE country = 'Nuations'
SELECT COUNT(*) FROM country WHERE country = 'Spanish'
SELECT DISTINCT orchestredby_record.Daudd DESCensus_by DESCensus_by DESCensus_by DESCensus_by_record_recorded, DESCensus_by_record.Daudition_recorded_by, Daudition_by_record
SELECT COUNT(*) FROM friend
SELECT name FROM friend WHERE friend.name = 'Kyle'
SELECT name FROM friend WHERE friend.name = 'Kyle'
SELECT name FROM student JOIN high_id ON student.id = student.id WHERE student.name = 'Kyle'
SELECT AVG(grade) FROM student
SELECT MAX(grade_id) FROM student
SELECT DISTINCT country FROM treatments JOIN departments ON treatments.department_id = departments.department_id GROUP BY department_id ORDER BY COUNT(*) DESC LIMIT 2
SELECT DISTINCT dog_id FROM treatment JOIN dog ON treatment.dog_id = dog_id WHERE treatment.last_name = 'Dog'
SELECT DISTINCT treatment_of_treatment, first_of_treatment FROM treatment JOIN treatments ON treatment_of_treatment.treatment_id = treatments.treatment_id GROUP BY treatment_of_treatment.treatment_id
SELECT COUNT(*) FROM treatment
SELECT name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'French' AND song.name = 'Sony'
SELECT name FROM song WHERE song_name = 'Sony'
SELECT name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = '1948'
