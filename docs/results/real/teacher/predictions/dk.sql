SELECT COUNT(*) FROM singer
SELECT song_name, song_release_year FROM singer WHERE song_name LIKE '%(singer_id)%'
SELECT AVG(stadium_id) FROM stadium WHERE year = 2014
SELECT MAX(stadium_id) FROM stadium WHERE year != 2014
SELECT MAX(stadium_id), MIN(stadium_id) FROM stadium WHERE year = 2014 AND year = 2015
SELECT COUNT(*) FROM pets WHERE weight > 10
SELECT weight FROM pets WHERE age < 18
SELECT COUNT(*) FROM pets GROUP BY pettype
SELECT stuid FROM student WHERE stuid NOT IN (SELECT stuid FROM student WHERE age != 18)
SELECT AVG(stuid) FROM pets GROUP BY pettype
SELECT student.fname, student.stuid FROM student JOIN pets ON student.fname = pets.fname AND student.age = pets.age
SELECT model FROM car WHERE weight < (SELECT AVG(weight) FROM car)
SELECT make, production_time FROM car_makers ORDER BY make ORDER BY production_time DESC LIMIT 1
SELECT DISTINCT car_names.model FROM car_names JOIN model_list ON car_names.modelid = model_list.model WHERE car_names.make = 'chevrolet' AND car_names.makeid = 'chevrolet' AND car_names.
SELECT model FROM car_names WHERE make = 'chevrolet' AND model = 'chevrolet' AND make = 'bucheon' AND model = 'bucheon'
SELECT COUNT(*) FROM car_makers
SELECT fullname, maker FROM car_makers
SELECT name, id FROM car_makers WHERE country = 'USA' AND car_makers.id = 1
SELECT MAX(model) FROM model_list WHERE modelid = 'amc'
SELECT MAX(model) FROM model_list WHERE model.maker = 'amc' AND model.modelid = 'amc'
SELECT COUNT(*) FROM cars_data WHERE cylinder > 4
SELECT COUNT(*) FROM car_names WHERE make = 'American Motor'
SELECT fullname, id FROM car_makers GROUP BY fullname ORDER BY COUNT(*) DESC LIMIT 3
SELECT name, id FROM car_makers WHERE maker > 3
SELECT year, weight FROM cars_data WHERE weight < 4000 AND weight > 3000
SELECT COUNT(*) FROM car_makers WHERE country = '2'
SELECT COUNT(*) FROM cars_data WHERE cylinder = 6
SELECT MAX(model) FROM car_names WHERE make = 'chevrolet' AND model = 'chevrolet' AND make = 'chevrolet' AND model = 'chevrolet'
SELECT MAX(mpg) FROM cars_data WHERE cylinders = 8 AND cars_data.mpg < 1980
SELECT airline.abbreviation FROM airlines JOIN flights ON airlines.abbreviation = flights.abbreviation WHERE flights.destairport = 'JetBlue'
SELECT COUNT(*) FROM flights WHERE sourceairport = 'APG'
SELECT city FROM airports ORDER BY distance LIMIT 1
SELECT DISTINCT city FROM flights GROUP BY city ORDER BY COUNT(*) DESC LIMIT 1
SELECT airportcode FROM airports ORDER BY flightno DESC LIMIT 1
SELECT airportcode FROM airports WHERE sourceairport = 'Aberdeen' AND destinationairport = 'Aberdeen' AND sourceairport = 'Aberdeen' AND destinationairport = 'Aberdeen' AND sourceairport = 'Aberdeen' AND destinationairport = 'Aberdeen
SELECT airline.airline, COUNT(*) FROM flights JOIN airlines ON flights.airline = airlines.airline WHERE airlines.abbreviation = 'UAL'
SELECT airline FROM airlines WHERE airline.airline < 200
SELECT flightno FROM flights WHERE sourceairport = 'APG'
SELECT flightno FROM flights WHERE sourceairport = 'Jackson'
SELECT COUNT(*) FROM flights WHERE sourceairport = 'ASY' AND destinationairport = 'APG'
SELECT COUNT(*) FROM documents
SELECT template_name FROM documents WHERE document_name = 'Robbin CV'
SELECT document_description, template_id FROM documents WHERE document_name = 'Robbin CV'
SELECT template_id FROM templates WHERE template_type_code = 'PP'
SELECT template_id FROM templates WHERE template_type_code NOT IN (SELECT template_id FROM documents)
SELECT COUNT(*) FROM templates
SELECT date_effective_from, template_type_code FROM templates
SELECT date_effective_from FROM templates WHERE template_type_code = 'CV'
SELECT date_effective_to, template_type_code FROM templates WHERE version_number > 5
SELECT date_effective_from FROM templates WHERE template_id = 'Data base'
SELECT date_effective_from FROM documents GROUP BY date_effective_from HAVING COUNT(*) > 1
SELECT date_effective_to, date_effective_from FROM documents WHERE document_name NOT IN (SELECT date_effective_to, date_effective_from)
SELECT template_type_code, template_type_description FROM templates
SELECT template_type_description FROM templates WHERE template_type_code = 'AD'
SELECT template_type_code FROM template_type_description WHERE template_type_code = 'Book'
SELECT date FROM ref_template_types WHERE template_type_description = 'Presentation'
SELECT player_name FROM matches
SELECT AVG(player_id) FROM matches
SELECT player_name FROM matches WHERE loser_name = '2013' AND winner_name = '2016'
SELECT first_name, country_code FROM players WHERE wins_name = 'WTA Championships' AND loser_name = 'Australian Open'
SELECT first_name, AVG(ranking) FROM players
SELECT SUM(ranking) FROM players
SELECT COUNT(*) FROM players GROUP BY country_code
SELECT country_code FROM players GROUP BY country_code HAVING COUNT(*) > 100
SELECT country_code FROM players WHERE country_code = 'SUI' ORDER BY country_code LIMIT 50
SELECT name, rank FROM matches
SELECT MAX(orchestra_id), MIN(orchestra_id) FROM performance WHERE type != 'Live final'
SELECT name FROM conductor
SELECT name FROM conductor WHERE name LIKE '%latest%'
SELECT major_record_format, COUNT(*) FROM orchestra GROUP BY major_record_format
SELECT record_format FROM orchestra ORDER BY age ASC
SELECT major_record_format FROM orchestra ORDER BY age
SELECT record_company FROM orchestra WHERE orchestra_id = 1
SELECT record_company FROM orchestra WHERE year_of_founded = 2003 AND year_of_founded = 2009
SELECT type FROM performance WHERE performance_id = (SELECT DISTINCT type FROM performance GROUP BY performance_id HAVING COUNT(*) > 1
SELECT state FROM owners WHERE owner_id = (SELECT owner_id FROM owners WHERE state = 'state' AND owners.state = 'state' AND owners.owner_id = (SELECT owner_id FROM owners WHERE state = 'state' AND owners.owner_id = (SELECT owner_id FROM owners
SELECT name FROM dogs WHERE owner_id = (SELECT owner_id FROM owners WHERE owner_id > 1000) AND owner_id = (SELECT owner_id FROM owners WHERE owner_id = (SELECT owner_id FROM owners WHERE owner_id > 1000) AND owner
SELECT treatment_type_description FROM treatment_types WHERE cost_of_treatment < (SELECT DISTINCT treatment_type_description FROM treatment_types)
SELECT treatment_type_description FROM treatment_types WHERE cost_of_treatment = (SELECT DISTINCT treatment_type_description FROM treatment_types GROUP BY treatment_type_description HAVING COUNT(*) < (SELECT DISTINCT treatment_type_description FROM treatment_types)
SELECT owner_id, zip_code FROM owners WHERE owner_id = '1' AND owner_id = '2'
SELECT DISTINCT professional_id, home_phone FROM treatments GROUP BY professional_id HAVING COUNT(*) > 2
SELECT owner_id, dogs.name FROM owners JOIN dogs ON owners.owner_id = dogs.owner_id WHERE dogs.breed_code = 'ESK'
SELECT name, date_of_birth FROM breeds WHERE breed_name = 'rare' ORDER BY date_of_birth DESC LIMIT 1
SELECT last_name FROM owners WHERE owner_id = (SELECT owner_id FROM dogs WHERE name = 'Kacey' ORDER BY owner_id DESC LIMIT 1
SELECT email_address FROM professionals WHERE state = 'HI' OR state = 'WI'
SELECT email_address FROM professionals WHERE state = 'HI' AND state = 'Iowa'
SELECT date_of_abandoned_yn, date_of_departed_yn FROM dogs
SELECT name FROM professionals WHERE city = 'West Heidi'
SELECT DISTINCT DISTINCT dog_id FROM dogs WHERE abandoned_yn = '1'
SELECT COUNT(*) FROM professionals WHERE professional_id NOT IN (SELECT DISTINCT professional_id FROM dogs)
SELECT age FROM dogs WHERE age < 6
SELECT age FROM dogs WHERE age < 6
SELECT DISTINCT treatment_type_code FROM charges WHERE charge_type = 'VAC' ORDER BY DISTINCT treatment_type_code
SELECT breed_type, size_type FROM breeds JOIN dogs ON breeds.breed_type = dogs.breed_type WHERE dogs.size_type = (SELECT size_type FROM sizes WHERE size_type = (SELECT size_type FROM breeds) ORDER BY size_type
SELECT name, description FROM treatments
SELECT name FROM singer WHERE age < 18
SELECT SUM(citizenship) FROM singer
SELECT SUM(highest_position) FROM song
SELECT SNAME FROM song
SELECT citizenship FROM singer WHERE birth_year = 1945 AND citizenship = 'France'
