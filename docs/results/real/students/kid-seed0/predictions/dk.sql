SELECT COUNT(*) FROM singer
SELECT song.name FROM singer WHERE age > 1999
SELECT AVG(year) FROM stadium
SELECT MAX(st) FROM stadium
SELECT MAX(year) FROM stadium
SELECT COUNT(*) FROM pets
SELECT weight FROM student WHERE age > 1000
SELECT COUNT(DISTINCT stuid) FROM pets JOIN has_type ON pets.id = has_type_number GROUP BY stuid HAVING COUNT(*) >= 1
SELECT id FROM student WHERE student.id = 'Fid'
SELECT AVG(DISTINCT stuid) FROM pets
SELECT name FROM student WHERE student.age > 10
SELECT model_name FROM car_lists JOIN model ON car_lists.model_name = model.model_name GROUP BY model.model_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT MAX(year) FROM car
SELECT DISTINCT car_name FROM car ORDER BY DESC LIMIT 1
SELECT card_name, card_name FROM card JOIN model ON card_name = model.model_id WHERE card_name = '1999'
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM model
SELECT country FROM car WHERE country = 'K'
SELECT MAX(m) FROM gas_name
SELECT model_name FROM model WHERE model_name = 'Alme'
SELECT COUNT(*) FROM cars
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT name FROM car WHERE 30
SELECT DISTINCT country FROM cars WHERE year = 3000000000000000000000000000000000000000000000000000
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM cars
SELECT model_name FROM car_name JOIN model ON car_name = model.model_name JOIN model ON car_name = model.model_name JOIN model ON model.model_name = model.model_name JOIN car ON model.model_name = car_name.model
SELECT MAX(m) FROM cars
SELECT abbrev, COUNT(*) FROM airlines WHERE airline = 'J'
SELECT COUNT(*) FROM flights WHERE airport.sourcecode = 'flights'
SELECT city FROM airports WHERE airport = 'flights'
SELECT city FROM airports WHERE city = 'flights'
SELECT airport.source FROM airports WHERE airport.source_code = 'A'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM airlines
SELECT COUNT(*) FROM airlines WHERE airlines.transactions = 200
SELECT DISTINCT source FROM flights WHERE airport.sourcecode = 'FL'
SELECT flight.number, COUNT(*) FROM flights JOIN airlines ON flights.id = airlines.id WHERE city = 'Jackson' AND flight.city = 'Jackson'
SELECT COUNT(*) FROM flights WHERE airport = 'Jackson'
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id GROUP BY document_name
SELECT document_name FROM documents WHERE document_name = 'Robin'
SELECT document_name FROM documents WHERE document_name = 'Robin'
SELECT template_id FROM documents WHERE document_id NOT IN (SELECT document_id FROM documents)
SELECT document_id FROM documents WHERE document_id NOT IN (SELECT document_id FROM documents)
SELECT COUNT(*) FROM ref_type
SELECT date_code FROM template_type_code WHERE date_type_code = '199'
SELECT date_type_code FROM template_type_code WHERE date_type_code = 'CV'
SELECT date_code FROM template_type_code WHERE template_type_code = 5
SELECT document_name FROM documents WHERE document_name = 'Data'
SELECT date_name FROM documents WHERE document_date < 2000
SELECT date_date, document_date FROM documents ORDER BY document_date LIMIT 1
SELECT type_type_code FROM ref_type_code WHERE type_type_code = 'F'
SELECT template_type_code FROM ref_type_code WHERE ref_type_code = 'ADDIT')
SELECT template_type_code FROM ref_type_code WHERE ref_type_code = 'Book'
SELECT date_type_name FROM ref_type_code WHERE ref_type_name = 'Punk_type'
SELECT player.name FROM player WHERE player.name = 'L'
SELECT AVG(rank) FROM player
SELECT name FROM player WHERE player_name = 'L'
SELECT player.name FROM player WHERE player.name = 'WTA'
SELECT player.player_id, player.player_id FROM player JOIN rankings ON player.player_id = rankings.rank_id WHERE player.player_id = 'Player'
SELECT SUM(rank) FROM player
SELECT COUNT(*) FROM player
SELECT country FROM player WHERE player_name = 'Nice'
SELECT COUNT(*) FROM player
SELECT name FROM player ORDER BY youngest_rank DESC LIMIT 3
SELECT MAX(share_type) FROM performance
SELECT name FROM orchestra GROUP BY name
SELECT name FROM orchestra WHERE performance_id NOT IN (SELECT performance.name FROM orchestra)
SELECT company, COUNT(*) FROM orchestra GROUP BY company ORDER BY COUNT(*) DESC LIMIT 1
SELECT performance.performance_id, performance.performance_id FROM orchestra ORDER BY performance_by ASC
SELECT performance.name FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.age > 15
SELECT company FROM performance GROUP BY company ORDER BY COUNT(*) DESC LIMIT 1
SELECT company FROM orchestra WHERE performance_of_first_albus = 2000
SELECT performance.type, performance.name FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.name = 'Audience'
SELECT state_name FROM owners WHERE state = 'Wisconsin'
SELECT name FROM dog WHERE name = 'Dew' AND 1000
SELECT treatment_type_code FROM treatment WHERE total_of_treatment_type_code = 'total'
SELECT treatment_type_code FROM treatment WHERE cost > 10
SELECT MAX(zip_code) FROM dog_id WHERE total_of_people.total_id = 'L'
SELECT * FROM treatments JOIN plays_number ON treatments.id = plays_number GROUP BY plays_number HAVING COUNT(*) > 1
SELECT DISTINCT name FROM owner JOIN dogs ON owner.id = dogs.name JOIN owners ON owner.name = owners.name JOIN dogs ON owner.name = dogs.name JOIN owners ON dogs.name = owners.name JOIN owners ON owners.name = owners.name JO
SELECT DISTINCT name FROM dogs ORDER BY DESC LIMIT 1
SELECT l_name FROM dog_id WHERE last_name = 'L'
SELECT email_address FROM professionals JOIN owners ON professionals.id = owners.prof_id WHERE state = 'HI' AND state = 'HI'
SELECT email_address FROM professionals JOIN owners ON professionals.prof_id = owners.prof_id WHERE state = 'HI'
SELECT date_of_dataset, DISTINCT date_of_dataset, DISTINCT date_of_dataset, DISTINCT date_of_dataset.date_dataset_dataset, DISTINCT date_of_dataset_dataset_dataset_dataset_dataset_dataset_dataset
SELECT name FROM professionals WHERE city = 'West' AND city = 'West'
SELECT COUNT(*) FROM treatment
SELECT COUNT(*) FROM dogs
SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < 1)
SELECT DISTINCT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < 1)
SELECT COUNT(*) FROM charge
SELECT DISTINCT st_code FROM breeds JOIN size ON breeds.id = size WHERE size = 'Dew' AND size = 'Dew'
SELECT professional_name FROM treatments JOIN treatments ON treatments.treatment_id = treatments.treatment_id GROUP BY treatment.treatment_id HAVING COUNT(*) > 1
SELECT name FROM song WHERE age > 1
SELECT SUM(S) FROM song
SELECT name FROM song WHERE sales = 'Sony'
SELECT song.name FROM song WHERE song.sales = 'Sony'
SELECT SUM(birth) FROM song
