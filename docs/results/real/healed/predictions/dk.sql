SELECT COUNT(*) FROM singer
SELECT song.name FROM singer WHERE song_year = 'Kearstings'
SELECT AVG(year) FROM stadium
SELECT MAX(st) FROM stadium
SELECT MAX(year) FROM stadium
SELECT COUNT(*) FROM pets
SELECT weight FROM student WHERE dog_type = 'pets'
SELECT COUNT(DISTINCT stuid) FROM pets JOIN has_petid ON pets.petid = has_pet.petid WHERE pet.type = 'Dews'
SELECT id FROM student WHERE student.lname = 'lill-f'
SELECT AVG(DISTINCT stuid) FROM pets
SELECT name FROM student WHERE student.age > 1
SELECT model_name FROM car_lists JOIN model ON car_lists.model_name = model.model_name JOIN car ON car_name = car_lists.model_name GROUP BY car_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT make_name FROM car_name WHERE year = 'M.year'
SELECT DISTINCT car_model FROM car_name JOIN model ON car_name = model.model_name GROUP BY model_name ORDER BY COUNT(*) DESC
SELECT card_name, card_card_name FROM card JOIN model_card ON card_name = model.model_id
SELECT COUNT(*) FROM car
SELECT model_name FROM car_to_maker JOIN model ON car_id = model.model_id WHERE model_name = 'Kear'
SELECT country FROM car_name JOIN car ON car_name = car_id WHERE country = 'K' AND country = 'K'
SELECT MAX(miles) FROM gas_list JOIN model ON gas.model_name = model.model_name JOIN car ON gas.model_name = car_list.model_name JOIN gas ON gas.model_name = gas.model_name JOIN model ON model.model
SELECT model_name, COUNT(*) FROM model
SELECT COUNT(*) FROM cars
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT name FROM car_id WHERE model_name = '33333'
SELECT DISTINCT country FROM cars WHERE year = 3000
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM cars
SELECT model_name, horsepower FROM car_name JOIN model ON car_name = model.model_name JOIN model ON car_name = model.model_name JOIN car ON car_name = car_model.model_name JOIN model ON car_name = model.model_name
SELECT MAX(mpi_data_data) FROM cars
SELECT abbrev, COUNT(*) FROM airlines JOIN airports ON airlines.airlines = airports.airlines JOIN airlines ON airlines.id = airlines.id WHERE airlines.transit_of = 'Jilani'
SELECT COUNT(DISTINCT sourcecode) FROM flights JOIN airports ON flights.source_code = airports.source_code WHERE airport.sourcecode = 'Aurtain'
SELECT COUNT(DISTINCT airport.city_code) FROM airports JOIN flights ON airports.city_code = flights.city_code WHERE airport.city_code = 'DESCensus'
SELECT city FROM airports WHERE city = 'flights'
SELECT airport.sourcecode FROM airports JOIN airports ON airports.source_code = airports.source_code WHERE airport.source_code = 'Aair'
SELECT COUNT(*) FROM airports WHERE airport.code = 'Aair'
SELECT COUNT(*) FROM airlines
SELECT COUNT(*) FROM airlines
SELECT flight.sourcecode FROM flights JOIN airports ON flights.source_code = airports.source_code WHERE airport.source_code = 'A airport'
SELECT flight.number, COUNT(*) FROM flights JOIN airlines ON flights.id = airlines.id WHERE airlines.year = 1
SELECT COUNT(*) FROM flights WHERE airport = 'Jackson'
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id GROUP BY document_name
SELECT document_name, document_name FROM documents JOIN documents ON documents.document_id = documents.document_id WHERE document_name = 'Robin'
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id WHERE document_name = 'Robin'
SELECT template_id FROM documents WHERE document_id NOT IN (SELECT template_id FROM documents_name)
SELECT document_id FROM documents WHERE document_name = 'Template'
SELECT COUNT(*) FROM ref_type
SELECT date_code FROM template_type_code WHERE template_type_code = 'Punk_code'
SELECT date_code FROM template_type_code WHERE date_type_code = 'CV'
SELECT date_code FROM template_type_code WHERE template_type_code = 'F'
SELECT document_name FROM documents WHERE document_name = 'Data'
SELECT date_date, document_date FROM documents_date GROUP BY document_date ORDER BY COUNT(*) DESC LIMIT 1
SELECT date_date, document_date FROM documents JOIN templates ON documents.document_id = document_date GROUP BY document_date HAVING COUNT(*) >= 1
SELECT type_type_code FROM template_type_code WHERE template_type_code = 'F'
SELECT template_type_code FROM ref_type_code WHERE ref_type_code = 'ADDIT')
SELECT template_type_code FROM template_type_code WHERE template_type_code = 'Book_type'
SELECT date_type_code FROM ref_type_code WHERE ref_type_code = 'Presentation'
SELECT player.name FROM player WHERE player_name = 'Liquid'
SELECT AVG(rank) FROM player
SELECT name FROM player WHERE player_name = 'Liquid'
SELECT player.first_name, COUNT(*) FROM player WHERE player.name = 'Waine'
SELECT player.player_date, player.player_date, player.player_date, player.player_date, player.player_date, player.player_date, player.player_date, player.player_date, player.player_date, player.player_date, player.player
SELECT SUM(rank) FROM player
SELECT COUNT(*) FROM player
SELECT country FROM player JOIN rankings ON player.player_id = rankings.rank_id WHERE player.country = 'Nice'
SELECT COUNT(*) FROM player
SELECT name FROM player_rank JOIN match_rankings ON player.match_rank = match_rankings.match_rankings = match_rankings.match_rankings
SELECT MAX(share_type) FROM performance
SELECT name FROM orchestra GROUP BY name
SELECT name FROM orchestra GROUP BY conductor_id
SELECT company, COUNT(*) FROM orchestra GROUP BY company ORDER BY COUNT(*) DESC LIMIT 1
SELECT record_format, performance.performance_by FROM orchestra ORDER BY performance_by ASC
SELECT performance.major_date, performance.performance_by FROM performance JOIN performance ON performance.performance_id = performance.performance_by_record.performance_by_recordings AS performance_by_recordings.performance_by_recordings.performance_by_recordings ASC
SELECT company, performance_of_instrucator FROM performance_record JOIN performance_record ON performance.performance_id = performance.performance_record.performance_record.performance_record_id
SELECT company, founded FROM orchestra GROUP BY company ORDER BY COUNT(*) DESC LIMIT 2
SELECT performance.performance_id, performance.performance_by FROM performance JOIN performance ON performance.performance_id = performance.performance_by_first JOIN performance ON performance.performance_id = performance.performance_by_first_id JOIN performance ON performance.performance_by_id = performance.
SELECT state_code FROM professionals JOIN owners ON professionals.prof_id = owners.prof_id GROUP BY state_code HAVING COUNT(*) >= 2
SELECT name FROM dog_name JOIN owners ON dog_id = owners.name GROUP BY owners.name
SELECT treatment_type_code FROM treatment_type_code WHERE total_of_treatment_type_code = 'total'
SELECT treatment_type_code FROM treatment_type_code WHERE cost > 1
SELECT MAX(zip_code) FROM dog_code JOIN owners ON dog_id = owners.owner_id WHERE dog_code = 'Sony'
SELECT * FROM treatments JOIN professionals ON treatments.prof_id = professionals.prof_id WHERE type_type = 'Prof'
SELECT DISTINCT name FROM dog_name JOIN owners ON dog_name = owners.name JOIN owners ON dog_name = owners.name JOIN owners ON dog_name = owners.name JOIN owners ON dog_name = owners.name JOIN owners ON dog_name = owners.
SELECT DISTINCT name FROM breeds
SELECT l_name FROM dog_name JOIN owners ON dog_name = owners.name GROUP BY l_name
SELECT email_address FROM professionals JOIN owners ON professionals.prof_id = owners.prof_id WHERE state = 'HI' AND state = 'HI'
SELECT email_address FROM professionals JOIN owners ON professionals.prof_id = owners.prof_id GROUP BY employees.state_id
SELECT date_of_date, DISTINCT date_of_date, date_of_date, date_of_date_date, date_of_date_date_date_date_date_date_date_date_date_date_date_date_date_date_date
SELECT name FROM professionals GROUP BY name
SELECT COUNT(*) FROM treatment
SELECT COUNT(*) FROM dogs
SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (
SELECT DISTINCT age_code FROM treatment JOIN dog ON treatment.age = dog_id WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age <
SELECT COUNT(*) FROM charge
SELECT DISTINCT stu_code FROM breeds JOIN sizes ON breeds.bre_code = sizes.size WHERE size = 'Dew' AND stu_code = 'Dew'
SELECT professional_name FROM treatments JOIN treatments ON treatments.treatment_id = treatments.treatment_id GROUP BY treatment_of_treatment ORDER BY COUNT(*) DESC LIMIT 1
SELECT name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'Sony'
SELECT SUM(S) FROM song
SELECT name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'Sony'
SELECT song.name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'Sony'
SELECT SUM(birth) FROM song
