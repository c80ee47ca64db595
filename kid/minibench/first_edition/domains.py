"""The embedded benchmark's databases as data: one line per table, and the pools from which values are drawn."""

from __future__ import annotations

from dataclasses import dataclass

# A table is a line of columns, each `name=values` or, where POOLS has values under the column's own name, `name`.
#   a|b|c    text, one of these (an underscore stands for a space)      5-90      whole numbers
#   word     the pool of that name                                      5.0-90.0  numbers with one decimal
#   parent>  the foreign key parent_id, pointing to parent.id
# Every table begins with the primary key `id`, which is not written. A column called name or title labels its row:
# its values are unique. Columns ending in `year` and `date` hold years and days.
POOLS = {
    "person": "Ada|Ben|Clara|David|Emma|Frank|Grace|Henry|Iris|Jack|Karen|Leo|Maria|Nina|Oscar|Paula|Quinn|Rosa|Sam|"
    "Tina|Ursula|Victor|Wendy|Yara|Zoe|Adam|Bella|Carl|Diana|Eric|Fiona|George|Helen|Ivan|Julia|Kevin",
    "thing": "Aurora|Beacon|Cascade|Dawn|Eclipse|Falcon|Garnet|Harbor|Indigo|Jupiter|Karma|Lantern|Meadow|Nova|Orchid|"
    "Phoenix|Quartz|Raven|Saffron|Tempest|Umbra|Vertex|Willow|Zenith|Amber|Breeze|Cedar|Drift|Ember|Frost|Glacier|"
    "Horizon|Ivory|Juniper|Lotus|Mirage",
    "animal_name": "Rex|Luna|Max|Coco|Rocky|Daisy|Milo|Ruby|Buddy|Molly|Simba|Nala|Oreo|Pepper|Shadow|Tiger|Ziggy|"
    "Lucky|Bruno|Cleo|Duke|Ginger|Hazel|Jasper",
    "dish_name": "pasta|pizza|salad|soup|curry|burger|sushi|steak|risotto|tacos|lasagna|omelette|paella|ramen|stew|"
    "goulash|falafel|kebab|quiche|waffle|pancake|dumpling|noodles|sandwich",
    "plant_name": "rose|tulip|lily|daisy|orchid|fern|ivy|mint|basil|thyme|sage|maple|oak|pine|palm|cactus|violet|iris|"
    "poppy|lotus|jasmine|lavender|clover|peony",
    "product_name": "lamp|chair|table|desk|mirror|clock|vase|carpet|pillow|blanket|knife|plate|bottle|basket|candle|"
    "shelf|sofa|stool|kettle|mug|towel|brush|ladder|hammer",
    "city": "London|Paris|Rome|Madrid|Berlin|Oslo|Vienna|Lisbon|Dublin|Athens|Prague|Geneva|New_York|Tokyo",
    "country": "France|Spain|Italy|Germany|Norway|Japan|Canada|Brazil|India|Kenya|Poland|Chile",
    "color": "red|blue|green|white|black|yellow|purple",
    "genre": "drama|comedy|horror|romance|action|mystery|fantasy",
    "age": "18-70",
    "year": "1970-2022",
    "price": "5.0-90.0",
    "rating": "1.0-9.9",
    "salary": "1000-9000",
    "weight": "2.0-80.0",
    "height": "5-120",
    "distance": "10-400",
    "capacity": "40-400",
    "score": "10-99",
}

TRAIN_DOMAINS = {
    "library": {
        "author": "name=person country birth_year=1900-1985",
        "book": "title=thing author> genre=crime|poetry|fantasy|history|romance|science length=80-600 price",
    },
    "hospital": {
        "doctor": "name=person specialty=heart|skin|eyes|bones|lungs salary",
        "patient": "name=person doctor> city age weight=45.0-110.0",
    },
    "airport": {
        "airline": "name=thing country founding_year=1930-2005",
        "flight": "airline> origin=city destination=city distance=200-990 price=40.0-400.0",
    },
    "school": {
        "teacher": "name=person subject=math|biology|art|music|physics|sport age=25-65",
        "student": "name=person teacher> city age=10-40 score",
    },
    "zoo": {
        "keeper": "name=person age salary",
        "animal": "name=animal_name keeper> species=lion|bear|wolf|zebra|camel|eagle weight age=1-40",
    },
    "restaurant": {
        "chef": "name=person country age",
        "dish": "name=dish_name chef> taste=sweet|salty|spicy|sour|bitter price=4.0-40.0 weight=120-900",
    },
    "museum": {
        "museum": "name=thing city opening_year=1850-2015",
        "painting": "title=thing museum> style=modern|classic|abstract|realist|folk price=100.0-900.0 year=1700-1990",
    },
    "farm": {
        "farmer": "name=person city age",
        "field": "farmer> crop=wheat|corn|rice|barley|beans|cotton area=2.0-60.0 harvest=10-99",
    },
    "shop": {
        "supplier": "name=thing country rating",
        "product": "name=product_name supplier> color price quantity=1-99",
    },
    "football": {
        "team": "name=thing city founding_year=1880-1990",
        "player": "name=person team> position=keeper|defender|midfielder|forward|winger age=17-42 score",
    },
    "films": {
        "director": "name=person country age=28-85",
        "film": "title=thing director> genre release_year=1970-2022 rating",
    },
    "music": {
        "singer": "name=person country age",
        "song": "title=thing singer> genre=rock|jazz|pop|folk|soul|blues length=2.0-9.0 income=10-400",
    },
    "hotels": {
        "hotel": "name=thing city rating=1-5",
        "room": "hotel> view=sea|park|street|garden|mountain floor=1-30 price=30.0-300.0 size=12-80",
    },
    "harbor": {
        "port": "name=thing country depth=6.0-30.0",
        "ship": "name=thing port> cargo=oil|coal|grain|cars|fruit|steel weight=100-990 build_year=1970-2020",
    },
    "bank": {
        "branch": "name=thing city opening_year=1920-2015",
        "customer": "name=person branch> job=nurse|teacher|lawyer|driver|baker|painter age balance=1000-9000",
    },
    "company": {
        "department": "name=sales|finance|research|design|support|legal|marketing|security|planning|training|quality|"
        "logistics|purchasing|software|press|strategy city budget=1000-9000",
        "employee": "name=person department> job=manager|clerk|engineer|analyst|assistant salary hire_date=2005-2022",
    },
    "gardens": {
        "garden": "name=thing city area=10.0-99.0",
        "plant": "name=plant_name garden> color height price=2.0-30.0",
    },
    "railway": {
        "station": "name=thing city opening_year=1850-2015",
        "train": "name=thing station> kind=express|local|night|freight|regional speed=60-300 capacity",
    },
    "games": {
        "studio": "name=thing country founding_year=1975-2012",
        "game": "title=thing studio> genre=puzzle|racing|action|strategy|arcade price=5.0-60.0 release_year=1990-2022",
    },
    "cycling": {
        "cyclist": "name=person country",
        "race": "name=thing city",
        "result": "cyclist> race> score year=1990-2022",
    },
    "orders": {
        "customer": "name=person city",
        "product": "name=product_name price",
        "purchase": "customer> product> quantity=1-40 purchase_date=2015-2023",
    },
    "buildings": {
        "architect": "name=person country age=28-85",
        "building": "name=thing architect> city height build_year=1950-2022",
    },
    "television": {
        "channel": "name=thing country start_year=1950-2010",
        "program": "title=thing channel> genre length=20-120 rating",
    },
    "insurance": {
        "agent": "name=person city salary",
        "policy": "agent> kind=home|car|travel|health|life price=20.0-200.0 start_date=2010-2023 duration=1-30",
    },
}

DEV_DOMAINS = {
    "cars": {
        "maker": "name=thing country founding_year=1890-1990",
        "car": "name=thing maker> color price=8.0-90.0 speed=120-330 year",
    },
    "gym": {
        "trainer": "name=person specialty=boxing|yoga|dance|running|rowing salary",
        "member": "name=person trainer> city age weight=45.0-110.0 join_date=2012-2023",
    },
    "theatre": {
        "theatre": "name=thing city capacity",
        "play": "title=thing theatre> genre length=40-200 price",
    },
    "winery": {
        "winery": "name=thing country opening_year=1800-2000",
        "wine": "name=thing winery> color=red|white|rose|orange price=5.0-80.0 year=1990-2022 score",
    },
    "pets": {
        "owner": "name=person city age",
        "pet": "name=animal_name owner> species=dog|cat|rabbit|parrot|turtle weight age=1-30",
    },
    "space": {
        "agency": "name=thing country budget=1000-9000",
        "rocket": "name=thing agency> fuel=liquid|solid|hybrid|ion height weight=100-990 launch_year=1970-2022",
    },
    "taxi": {
        "driver": "name=person age rating",
        "trip": "driver> destination=city kind=private|shared|business|night distance price",
    },
    "courses": {
        "student": "name=person city",
        "course": "title=thing subject=math|biology|art|music|physics|sport",
        "exam": "student> course> score year=1990-2022",
    },
}


@dataclass(frozen=True)
class Column:
    """A column. `kind` is id, key, label, category, integer, real, year or date; a key's `values` is its parent."""

    table: str
    name: str
    kind: str
    values: str = ""


@dataclass(frozen=True)
class Table:
    """A table and its columns, the primary key `id` first."""

    name: str
    columns: tuple[Column, ...]

    @property
    def parents(self) -> list[str]:
        """The tables to which its foreign keys point."""
        return [column.values for column in self.columns if column.kind == "key"]


def parse_column(table: str, text: str) -> Column:
    """Parse a column's notation."""
    if text.endswith(">"):
        return Column(table, f"{text[:-1]}_id", "key", text[:-1])
    name, _, values = text.partition("=")
    values = POOLS.get(values or name, values)
    if name in ("name", "title"):
        kind = "label"
    elif "|" in values:
        kind = "category"
    elif name.endswith(("year", "date")):
        kind = name[-4:]
    else:
        kind = "real" if "." in values else "integer"
    return Column(table, name, kind, values)


def parse_domain(domain: dict[str, str]) -> dict[str, Table]:
    """The tables of a domain, in the order of the notation: parents before children."""
    return {
        name: Table(name, (Column(name, "id", "id"), *(parse_column(name, text) for text in line.split())))
        for name, line in domain.items()
    }
