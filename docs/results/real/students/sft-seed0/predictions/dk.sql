SELECT COUNT(*) FROM singer
SELECT song.name FROM singer WHERE age > 1999
SELECT AVG(year) FROM stadium
SELECT MAX(stadium) FROM stadium
SELECT MAX(year) FROM stadium
SELECT COUNT(*) FROM pets
SELECT weight FROM student WHERE age > 10
SELECT COUNT(DISTINCT stuid) FROM pets JOIN has_type ON pets.petid = has_type JOIN has_type ON pets.petid = has_type_type JOIN has_type ON pets.petid = has_type_type JOIN has_type
SELECT id FROM student WHERE student.age > 10
SELECT AVG(DISTINCT stuid) FROM pets
SELECT name FROM student WHERE age > 19
SELECT model_name FROM car_lists JOIN model ON car_lists.model_name = model.model_name GROUP BY model.model_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM car
SELECT DISTINCT car_model FROM car JOIN model ON car_list.model_id = model_name GROUP BY model.model_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT card_name, card_card_name FROM card JOIN model ON card_name = model.model_id WHERE card_name = '1998-2099'
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT country FROM car WHERE country = 'K'
SELECT MAX(miles) FROM gas_list JOIN model ON gas.model_name = model.model_name GROUP BY gas_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT model_name, COUNT(*) FROM model
SELECT COUNT(*) FROM cars
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM car
SELECT name FROM car WHERE 30
SELECT DISTINCT country FROM cars WHERE year = 3000000000000000000000000000000000000000000000000000
SELECT COUNT(*) FROM car
SELECT COUNT(*) FROM cars
SELECT model_name, horsepower FROM car_name JOIN model ON car_name = model.model_name GROUP BY model.model_name ORDER BY COUNT(*) DESC LIMIT 1
SELECT MAX(mpg_id) FROM cars
SELECT abbrevions FROM airlines JOIN flights ON airlines.flight_id = flights.flight_id WHERE airlines.transactions = 'J'
SELECT COUNT(*) FROM flights WHERE airport.sourcecode = 'flights'
SELECT COUNT(DISTINCT airport.city_code) FROM airports JOIN flights ON airports.city_code = flights.city_code GROUP BY city.city_code HAVING COUNT(*) >= 2
SELECT city FROM airports WHERE city = 'flights'
SELECT airport.source FROM airports WHERE airport.sourcecode = 'Aair'
SELECT COUNT(*) FROM airports WHERE city = 'A'
SELECT COUNT(*) FROM airlines
SELECT COUNT(*) FROM airlines WHERE airlines.transactions = 200
SELECT COUNT(*) FROM flights WHERE airport.sourcecode = 'flights'
SELECT COUNT(*) FROM flights WHERE flight.year = 19
SELECT COUNT(*) FROM flights WHERE airport = 'Jackson'
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id GROUP BY document_id HAVING COUNT(*) > 1
SELECT document_name FROM documents WHERE document_name = 'Robin'
SELECT document_name FROM documents JOIN documents ON documents.document_id = documents.document_id WHERE document_name = 'Robin'
SELECT template_id FROM documents WHERE document_id NOT IN (SELECT document_id FROM documents)
SELECT document_id FROM documents WHERE document_id NOT IN (SELECT document_id FROM documents)
SELECT COUNT(*) FROM ref_type
SELECT date_code FROM template_type_code WHERE template_type_code = 'Bal-type'
SELECT date_type_code FROM template_type_code WHERE date_type_code = 'CV'
SELECT date_code FROM template_type_code WHERE template_type_code = 5
SELECT document_name FROM documents WHERE document_name = 'Data'
SELECT date_of_document_date, document_date FROM documents_date GROUP BY document_date_of_date HAVING COUNT(*) >= 2
SELECT date_of_date, document_date FROM documents JOIN templates ON documents.document_id = templates.document_id WHERE document_date < (SELECT document_date, document_id FROM documents)
SELECT type_type_code FROM template_type_code WHERE template_type_code = 'F'
SELECT template_type_code FROM ref_type_code WHERE ref_type_code = 'ADDIT')
SELECT template_type_code FROM template_type_code WHERE template_type_code = 'Book'
SELECT date_type_code FROM ref_type_code WHERE type_code = 'Presentation'
SELECT player.name FROM player WHERE player.name = 'Liquid'
SELECT AVG(l) FROM player
SELECT name FROM player WHERE player_is = 'Liquid'
SELECT player.name FROM player WHERE player.name = 'WTA'
SELECT player.player_date, player.player_id FROM player JOIN rankings ON player.player_id = rankings.rank_id GROUP BY player.player_id HAVING COUNT(*) > 1
SELECT SUM(rank) FROM player
SELECT COUNT(*) FROM player
SELECT country FROM player WHERE country = 'Sony'
SELECT COUNT(*) FROM player
SELECT name FROM player GROUP BY youngest_rank ORDER BY COUNT(*) DESC LIMIT 3
SELECT MAX(share_type) FROM performance
SELECT name FROM orchestra GROUP BY name
SELECT name FROM orchestra WHERE performance_id NOT IN (SELECT performance.name FROM orchestra)
SELECT company, COUNT(*) FROM orchestra GROUP BY company ORDER BY COUNT(*) DESC LIMIT 1
SELECT record FROM orchestra GROUP BY orchestras ASC
SELECT performance.major_date, performance.age FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.age > 15
SELECT company, company FROM orchestra ORDER BY (SELECT performance.performance_id) DESC LIMIT 1
SELECT company, founded FROM orchestra ORDER BY founded ORDER BY founded ASC
SELECT performance.type, performance.name FROM performance JOIN performance ON performance.performance_id = performance.performance_id WHERE performance.name = 'Audience'
SELECT state_code FROM owners GROUP BY state_code HAVING COUNT(*) >= 2
SELECT name FROM dog WHERE name = 'Dew'
SELECT treatment_type_code FROM treatment WHERE cost > 1
SELECT treatment_type_code FROM treatment WHERE cost > 10
SELECT MAX(zip_code) FROM dog_id WHERE total_of_staffed > 1
SELECT * FROM treatments JOIN plays_number ON treatments.home_id = plays_number GROUP BY plays_number HAVING COUNT(*) >= 2
SELECT DISTINCT name FROM dog JOIN owners ON dog.name = owners.name JOIN owners ON dog.name = owners.name JOIN owners ON dog.name = owners.name JOIN owners ON dog.name = owners.name JOIN owners ON dog.name = owners.name JO
SELECT DISTINCT name FROM breeds
SELECT lname FROM dog_id JOIN owners ON dog_id = owners.of_id WHERE dog_id NOT IN (SELECT lname FROM dog_id WHERE dog_id NOT IN (SELECT lname FROM dog_id WHERE dog_id NOT IN (SELECT lname FROM dog_id WHERE dog
SELECT email_address FROM professionals JOIN owners ON professionals.prof_id = owners.prof_id GROUP BY owners.prof_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT email_address FROM professionals JOIN owners ON professionals.prof_id = owners.prof_id GROUP BY employees.state_id HAVING COUNT(*) > 1
SELECT date_of_dataset, DISTINCT date_of_dataset, DESC_dataset_dataset FROM treatment JOIN dog ON treatment_dataset.dog_id = dog_dataset.dog_id GROUP BY dog_dataset.date_of_dataset HAVING COUNT(*) >=
SELECT name FROM professionals WHERE city = 'West' AND city = 'West'
SELECT COUNT(*) FROM treatment
SELECT COUNT(*) FROM dogs
SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (SELECT age FROM treatment WHERE age < (
SELECT DISTINCT age FROM treatment WHERE age < (SELECT MAX(age) FROM treatment WHERE age < (SELECT MAX(age) FROM treatment WHERE age < (SELECT MAX(age) FROM treatment WHERE age < (SELECT MAX(age) FROM treatment WHERE age < (SELECT MAX(age) FROM treatment WHERE
SELECT COUNT(*) FROM charge
SELECT DISTINCT stu_code FROM breeds JOIN sizes ON breeds.breid = sizes.size WHERE size = 'Dew' AND stu_code = 'Dew'
SELECT professional_name FROM treatments JOIN treatments ON treatments.treatment_id = treatments.treatment_id GROUP BY treatment.treatment_id HAVING COUNT(*) >= 1
SELECT name FROM song WHERE age > 19
SELECT COUNT(*) FROM singer
SELECT name FROM song WHERE sales > 1000
SELECT song.name FROM song WHERE song.sales = 'Sony'
SELECT SUM(birth) FROM song
