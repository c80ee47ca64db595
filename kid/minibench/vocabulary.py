"""The vocabulary of the embedded benchmark as data: names of tables, names of columns, and values."""

from __future__ import annotations

from dataclasses import dataclass

# Kind of table -> its nouns: name of the table=synonym for the synonym split.
NOUNS = {
    "person": """author=writer doctor=physician teacher=instructor student=pupil singer=vocalist actor=performer
        player=athlete driver=motorist pilot=aviator chef=cook farmer=grower lawyer=attorney judge=magistrate
        nurse=caregiver engineer=technician soldier=fighter artist=creator scientist=researcher employee=worker
        customer=client manager=supervisor trainer=mentor tenant=renter guest=visitor owner=proprietor member=affiliate
        director=filmmaker journalist=reporter dancer=ballerina photographer=cameraman passenger=traveller
        citizen=resident sailor=seaman professor=lecturer candidate=applicant accountant=bookkeeper architect=planner
        baker=confectioner barber=hairdresser guard=watchman collector=hoarder inventor=deviser explorer=discoverer
        swimmer=bather runner=sprinter boxer=pugilist gardener=landscaper translator=interpreter mechanic=repairman
        astronaut=cosmonaut musician=instrumentalist""",
    "organisation": """company=firm school=academy hospital=clinic bank=lender airline=carrier club=association
        team=squad shop=store restaurant=diner museum=gallery university=college factory=mill theater=playhouse
        hotel=inn farm=ranch brewery=taproom publisher=imprint agency=bureau department=division studio=atelier
        foundation=charity band=ensemble gym=fitness_center garage=workshop laboratory=institute pharmacy=drugstore""",
    "place": """building=edifice stadium=arena park=green lake=mere river=stream mountain=peak island=isle
        bridge=viaduct airport=airfield harbor=port beach=shore village=hamlet district=quarter street=road
        forest=woodland castle=fortress apartment=flat room=chamber warehouse=depot tunnel=underpass tower=spire
        cave=cavern garden=yard hall=auditorium cinema=movie_house market=bazaar mine=pit campsite=campground""",
    "work": """book=volume song=tune film=movie painting=canvas album=record article=essay novel=fiction poem=verse
        play=drama magazine=journal sculpture=statue course=class recipe=formula podcast=audio_series show=program
        opera=musical_drama comic=cartoon documentary=factual_film lecture=talk thesis=dissertation""",
    "object": """product=item car=automobile ship=vessel plane=aircraft bicycle=bike phone=telephone camera=recorder
        instrument=device dish=meal drink=beverage wine=vintage plant=herb animal=creature dog=hound horse=steed
        toy=plaything jacket=coat chair=seat lamp=light robot=android engine=motor tool=implement medicine=drug
        satellite=orbiter truck=lorry tent=pavilion guitar=lute""",
    "event": """concert=gig race=contest meeting=gathering purchase=acquisition booking=reservation flight=air_trip
        trip=journey visit=stay exam=test election=ballot festival=carnival exhibition=exposition repair=fix
        delivery=shipment payment=transaction loan=credit review=critique contract=agreement treatment=therapy
        lesson=session tournament=championship wedding=marriage battle=combat experiment=trial auction=sale
        complaint=grievance donation=gift inspection=examination appointment=consultation accident=crash
        project=undertaking enrollment=registration""",
}

# Kind of table -> its columns: `name = values; synonym; participle; largest; smallest`. The synonym is for the synonym
# split. The other words are for questions without the column's name: a participle that a value can follow and, for
# numbers and times, the words for the largest and the smallest value; "-" if there is none. Values are a|b|c (one of
# these texts; an underscore is a space), the name of a pool, 5-90 (whole numbers), 5.0-90.0 (one decimal),
# year:1950-2020 or date:1990-2022.
ATTRIBUTES = {
    "person": """
        name = person; full name; called
        age = 18-70; number of years; aged; oldest; youngest
        salary = 1000-9000; pay; earning; best paid; worst paid
        height = 150-205; stature; measuring; tallest; shortest
        weight = 45.0-120.0; mass; weighing; heaviest; lightest
        birth_year = year:1940-2004; year of birth; born; -; -
        hire_date = date:1995-2022; joining day; hired; -; -
        city = city; town; living in
        country = country; nation; coming from
        language = language; tongue; speaking
        level = junior|senior|expert|beginner|advanced|trainee; grade; ranked as
        experience = 1-40; length of service; having worked for; most seasoned; least seasoned
        score = 10-99; mark; scoring; most successful; least successful
        hobby = chess|running|cooking|painting|sailing|reading|skiing|gaming; pastime; fond of
        """,
    "organisation": """
        name = thing; title; called
        founding_year = year:1850-2015; year of foundation; founded; -; -
        revenue = 100-9900; turnover; taking in; richest; poorest
        staff_count = 5-900; number of workers; employing; -; -
        rating = 1.0-9.9; evaluation; rated; best rated; worst rated
        budget = 1000-9000; funds; spending; -; -
        city = city; town; based in
        country = country; nation; from
        sector = finance|energy|health|media|travel|trade|research|sport; industry; active in
        status = open|closed|planned|merged|suspended|growing; state; currently
        """,
    "place": """
        name = thing; title; called
        area = 2.0-90.0; surface; covering; largest; smallest
        capacity = 40-900; number of seats; holding; -; -
        opening_year = year:1850-2020; year of inauguration; opened; -; -
        visitors = 100-9900; number of guests; attracting; busiest; quietest
        altitude = 10-2900; elevation; lying at; -; -
        city = city; town; located in
        country = country; nation; situated in
        climate = mild|hot|cold|dry|wet|windy; weather; described as
        style = modern|classic|gothic|rustic|baroque|plain; design; built in the manner called
        """,
    "work": """
        title = thing; heading; entitled
        genre = drama|comedy|horror|romance|action|mystery|fantasy|history; category; classed as
        price = 5.0-90.0; cost; costing; most expensive; cheapest
        release_year = year:1950-2022; year of publication; released; -; -
        rating = 1.0-9.9; evaluation; rated; best rated; worst rated
        length = 20-600; extent; lasting; longest; shortest
        language = language; tongue; in
        sales = 100-9900; number sold; selling; best selling; worst selling
        award = gold|silver|bronze|jury|audience|critics; prize; honoured with
        """,
    "object": """
        name = product_name; label; called
        color = red|blue|green|white|black|yellow|purple|orange; shade; painted
        price = 5.0-90.0; cost; costing; most expensive; cheapest
        weight = 2.0-80.0; mass; weighing; heaviest; lightest
        material = wood|steel|glass|plastic|leather|cotton|copper|stone; substance; made of
        brand = Aero|Bolt|Cora|Delta|Echo|Fuji|Gala|Halo; make; produced by
        quantity = 1-99; number of pieces; -; -; -
        production_year = year:1970-2022; year of manufacture; manufactured; newest; -
        speed = 20-400; pace; reaching; fastest; slowest
        size = tiny|small|medium|large|huge; dimension; measuring
        """,
    "event": """
        title = thing; heading; entitled
        date = date:1995-2023; day; taking place; -; -
        year = year:1970-2023; calendar year; -; -; -
        cost = 5.0-900.0; expense; costing; most expensive; cheapest
        duration = 5-300; running time; lasting; longest; shortest
        attendance = 20-9900; number of participants; drawing; best attended; worst attended
        status = open|done|planned|late|cancelled|paid; state; currently
        location = city; venue; happening in
        season = spring|summer|autumn|winter; time of year; falling in
        priority = low|normal|high|urgent; importance; regarded as
        """,
}

POOLS = {
    "person": "Ada|Ben|Clara|David|Emma|Frank|Grace|Henry|Iris|Jack|Karen|Leo|Maria|Nina|Oscar|Paula|Quinn|Rosa|Sam|"
    "Tina|Ursula|Victor|Wendy|Yara|Zoe|Adam|Bella|Carl|Diana|Eric|Fiona|George|Helen|Ivan|Julia|Kevin",
    "thing": "Aurora|Beacon|Cascade|Dawn|Eclipse|Falcon|Garnet|Harbor|Indigo|Jupiter|Karma|Lantern|Meadow|Nova|Orchid|"
    "Phoenix|Quartz|Raven|Saffron|Tempest|Umbra|Vertex|Willow|Zenith|Amber|Breeze|Cedar|Drift|Ember|Frost|Glacier|"
    "Horizon|Ivory|Juniper|Lotus|Mirage",
    "product_name": "Alto|Basil|Comet|Dyna|Elan|Flint|Gusto|Hydra|Ikon|Jolt|Kite|Lumen|Mint|Nimbus|Opal|Prism|Quill|"
    "Rex|Sable|Titan|Ultra|Vista|Wave|Xenon|Yodel|Zest|Argo|Briar|Cobalt|Dune|Ergo|Fable|Glide|Hawk",
    "city": "London|Paris|Rome|Madrid|Berlin|Oslo|Vienna|Lisbon|Dublin|Athens|Prague|Geneva|New_York|Tokyo",
    "country": "France|Spain|Italy|Germany|Norway|Japan|Canada|Brazil|India|Kenya|Poland|Chile",
    "language": "English|French|Spanish|German|Italian|Arabic|Hindi|Polish",
}


@dataclass(frozen=True)
class Attribute:
    """A column of a kind of table, see `ATTRIBUTES`. implied: the participle. The last three are "" if undefined."""

    name: str
    values: str
    synonym: str
    implied: str
    largest: str = ""
    smallest: str = ""

    @property
    def kind(self) -> str:
        """ "label", "category", "integer", "real", "year" or "date": what questions may ask of the column."""
        if self.name in ("name", "title"):
            return "label"
        if ":" in self.values:
            return self.values.split(":")[0]
        if self.values[0].isdigit():
            return "real" if "." in self.values else "integer"
        return "category"


def parse_nouns() -> list[tuple[str, str, str]]:
    """(noun, synonym, kind) of every possible table."""
    return [
        (noun, synonym.replace("_", " "), kind)
        for kind, text in NOUNS.items()
        for noun, synonym in (pair.split("=") for pair in text.split())
    ]


def parse_attributes() -> dict[str, list[Attribute]]:
    """The attributes of each kind of table, its label first."""
    parsed = {}
    for kind, text in ATTRIBUTES.items():
        lines = [line.split(" = ") for line in text.strip().splitlines()]
        parsed[kind] = [
            Attribute(name.strip(), *("" if part.strip() == "-" else part.strip() for part in rest.split(";")))
            for name, rest in lines
        ]
    return parsed


TABLE_NOUNS = parse_nouns()
TABLE_ATTRIBUTES = parse_attributes()
