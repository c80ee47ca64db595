SELECT COUNT(*) FROM singer
SELECT song.name FROM singer WHERE age < (SELECT song.name FROM singer)
SELECT AVG(year) FROM stadium
SELECT MAX(stadium) FROM stadium
SELECT MAX(year) FROM stadium
SELECT COUNT(*) FROM pets
SELECT weight FROM student WHERE age < (SELECT weight FROM student WHERE age < (SELECT weight FROM student WHERE age < (SELECT weight FROM student WHERE age < (SELECT weight FROM student WHERE age < (SELECT weight FROM student WHERE age < (SELECT weight FROM student WHERE age < (SELECT weight FROM student WHERE age < (
SELECT COUNT(DISTINCT stuid) FROM pets JOIN has_petid ON pets.petid = has_petid WHERE pet_id = 'Dee' AND stuid = 'Dee'
SELECT id, stuid FROM student JOIN student ON student.stuid = student.stuid WHERE student.stuid = 'F'
SELECT AVG(type) FROM pets
SELECT name FROM student WHERE age < (SELECT name FROM student WHERE age < 19
SELECT model_name, COUNT(*) FROM car
SELECT make_name FROM car WHERE year = 12
SELECT DISTINCT car_name FROM car ORDER BY DESC LIMIT 1
SELECT card_name, card_name FROM card JOIN model_name ON card_name = model.model_name GROUP BY card_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM car
SELECT model_name FROM car_list JOIN model ON car_list.model_id = model_list.model_id WHERE model_name = 'Kear'
SELECT country FROM car WHERE country = 'K'
SELECT MAX(miles) FROM gas_list JOIN model ON gas.model_name = model.model_name JOIN car ON gas.model_name = car_list.model_name JOIN gas ON gas.model_name = gas_list.model_name JOIN model_list
SELECT model_name, COUNT(*) FROM model
SELECT COUNT(*) FROM cars
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT name FROM car WHERE model_name = '3'
SELECT DISTINCT country FROM cars WHERE year = 3000
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM cars
SELECT model_name, horsepower FROM car_name JOIN model ON car_name = model.model_name JOIN model_name ON model_name = model.model_name JOIN car ON model_name = car_model.model_name JOIN model ON car_name = model.model
SELECT MAX(mpi_data_data) FROM cars
SELECT abbrevions FROM airlines JOIN flights ON airlines.flight_id = flights.flight_id WHERE airlines.transit_id = 'J'
SELECT COUNT(*) FROM flights WHERE airport.sourcecode = 'flights'
SELECT city FROM airports WHERE city = 'flights'
SELECT city FROM airports WHERE city = 'flights'
SELECT airport.source, COUNT(*) FROM airports JOIN airports ON airports.air_code = airports.source_code WHERE airport.source_code = 'A' AND airport.source_code = 'A'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM airlines
SELECT COUNT(*) FROM airlines
SELECT flight.source FROM flights JOIN airports ON flights.source_code = airports.source_code WHERE airport.source_code = 'A' AND airport.source_code = 'A'
SELECT flight.source FROM flights JOIN airlines ON flights.id = airlines.id WHERE city = 'Jackson' AND flight.source = 'Jackson'
SELECT COUNT(*) FROM flights WHERE airport = 'Jackson'
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id GROUP BY document_name
SELECT document_name, document_name FROM documents JOIN documents ON documents.document_id = documents.document_id WHERE document_name = 'Robin'
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id WHERE document_name = 'Robin'
SELECT template_id FROM documents WHERE document_id NOT IN (SELECT document_id FROM documents)
SELECT document_id FROM documents WHERE document_id NOT IN (SELECT document_id FROM documents)
SELECT COUNT(*) FROM ref_type
SELECT date_type_code FROM template_type_code WHERE template_type_code = 'Bal-type'
SELECT date_type_code FROM template_type_code WHERE type_type_code = 'CV'
SELECT date_code FROM template_type_code WHERE template_type_code = 5
SELECT document_name FROM documents WHERE document_name = 'Data'
SELECT date_date, document_date FROM documents JOIN documents ON documents_date_id = documents.document_id GROUP BY document_date HAVING COUNT(*) >= 2
SELECT date_date, document_date FROM documents JOIN documents ON documents.document_id = documents.document_id WHERE document_date < (SELECT document_id FROM documents)
SELECT type_type_code FROM template_type_code WHERE template_type_code = 'F'
SELECT template_type_code FROM ref_type_code WHERE ref_type_code = 'ADDIT'
SELECT template_type_code FROM template_type_code WHERE type_type_code = 'Book'
SELECT date_type_code FROM ref_type_code WHERE type_type_code = 'Presentation'
SELECT player.name FROM player WHERE player_name = 'Liquid'
SELECT AVG(l) FROM player
SELECT name FROM player WHERE player_name = 'L'
SELECT player.name FROM player WHERE player.name = 'WTA'
SELECT player.player_id, player.player_id FROM player JOIN rankings ON player.player_id = rankings.player_id GROUP BY player.player_id HAVING COUNT(*) > 1
SELECT SUM(rank) FROM player
SELECT COUNT(*) FROM player
SELECT country FROM player WHERE player_code = 'Nice'
SELECT COUNT(*) FROM player
SELECT name FROM player ORDER BY youngest_rank DESC LIMIT 3
SELECT MAX(share_type) FROM performance JOIN performance_type ON performance.performance_id = performance.performance_type_id GROUP BY performance.performance_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT name FROM orchestra GROUP BY name
SELECT name FROM orchestra WHERE performance_id NOT IN (SELECT performance.name FROM orchestra)
SELECT company, COUNT(*) FROM orchestra GROUP BY company ORDER BY COUNT(*) DESC LIMIT 1
SELECT record FROM orchestra GROUP BY orchestras ORDER BY COUNT(*) DESC LIMIT 1
SELECT orchestred_by FROM orchestra WHERE age < (SELECT orchestred_by FROM orchestra)
SELECT company, company FROM orchestra ORDER BY (SELECT performance.performance_id) DESC LIMIT 1
SELECT company, founded FROM orchestra ORDER BY founded ORDER BY founded ASC
SELECT type, performance FROM performance JOIN show_num ON performance.performance_id = performance.performance_id WHERE performance.name = 'Audience'
SELECT state_code FROM owners GROUP BY state_code HAVING COUNT(*) > 1
SELECT name FROM dog WHERE owner_id NOT IN (SELECT name FROM dog_id WHERE owner_id NOT IN (SELECT name FROM dog_id WHERE owner_id NOT IN (SELECT name FROM dog_id WHERE owner_id NOT IN (SELECT DISTINCT owner_id FROM dog_id WHERE owner
SELECT treatment_type_code, treatment_type_code FROM treatment JOIN treatment_type_code ON treatment_type_code = treatment_type_code WHERE treatment_type_code = 'total'
SELECT treatment_type_code, COUNT(*) FROM treatment
SELECT MAX(zip_code) FROM dog_id WHERE total_id NOT IN (SELECT MAX(total_id) FROM dog_id WHERE total_id NOT IN (SELECT total_id FROM dog_id WHERE total_id NOT IN (SELECT total_id FROM dog_id WHERE total_id NOT
SELECT * FROM treatments JOIN people ON treatments.people_id = people.people_id WHERE people.type_code = 'Prof'
SELECT DISTINCT name FROM owner JOIN dogs ON owner.name = dogs.name JOIN owners ON owner.name = owners.name JOIN dogs ON owner.name = dogs.name JOIN owners ON dogs.name = owners.name JOIN owners ON owners.name = owners.name JO
SELECT DISTINCT name FROM breeds JOIN dogs ON breeds.id = dogs.id WHERE name = 'Cep' AND dogs.name = 'Cep'
SELECT lname FROM dog_id WHERE last_name = 'L'
SELECT email_address FROM professionals JOIN owners ON professionals.id = owners.prof_id WHERE state = 'HI' AND state = 'HI'
SELECT email_address FROM professionals JOIN owners ON professionals.prof_id = owners.prof_id WHERE state = 'HI' AND state = 'HI'
SELECT date_of_dataset, DISTINCT date_of_dataset, DISTINCT date_of_dataset, dataset_dataset.dataset_id FROM treatment_dataset JOIN dog ON treatment_dataset_dataset_id = dog_dataset.dog_id WHERE treatment_dataset_by_
SELECT name FROM professionals WHERE city = 'West' AND city = 'West'
SELECT COUNT(*) FROM treatment
SELECT COUNT(*) FROM dogs
SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (
SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (
SELECT COUNT(*) FROM charge
SELECT DISTINCT breed_type_code FROM breeds JOIN sizes ON breeds.breid = sizes.size_code WHERE size = 'Dog' AND breed_type_code = 'Dew'
SELECT professional_name FROM treatments JOIN treatments ON treatments.treatment_id = treatments.treatment_id GROUP BY professional_id
SELECT name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'Kear'
SELECT SUM(S) FROM singer
SELECT name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'Sony'
SELECT song.name FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'Sony'
SELECT SUM(birth) FROM song JOIN song ON song.song_id = song.song_id WHERE song.name = 'Austin'
