# ruff: noqa: RUF001 - the signs of these languages are meant
"""Values in languages without blanks between words: found as parts of the question, but not wherever they stand."""

import sqlite3

import pytest

from kid.data.matching import match_values
from kid.data.unspaced import find_parts, lengths_by_beginning, stands_by_chance, written_forms
from kid.data.value_index import build_value_index


@pytest.fixture(scope="module")
def match(tmp_path_factory):
    """match(values, question) -> those that it mentions."""
    path = tmp_path_factory.mktemp("unspaced") / "d.sqlite"

    def find(values, question):
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE t (c TEXT)")
        connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        connection.commit()
        connection.close()
        return match_values(build_value_index(path), [question])[0].get(("t", "c"), [])

    return find


@pytest.mark.parametrize(
    ("question", "values", "expected"),
    [
        # Chinese
        ("从成都到南京的火车有几趟？", ["南京", "成都", "京都"], ["成都", "南京"]),
        ("复旦大学出版社有多少员工？", ["复旦", "复旦大学", "复旦大学出版社"], ["复旦大学出版社"]),
        ("列出所有女教师的姓名，她是谁？", ["男", "女", "是", "的"], ["女"]),
        ("状态为“是”的订单", ["是", "否"], ["是"]),
        ("十二号楼有几层？", ["二号楼", "十二号楼"], ["十二号楼"]),
        ("請問臺灣的人口", ["臺灣"], ["臺灣"]),
        ("请列出《红楼梦》的作者", ["《红楼梦》", "红楼梦"], ["《红楼梦》", "红楼梦"]),
        # Japanese
        ("大阪城とスカイツリーの高さは？", ["大阪", "大阪城", "スカイツリー", "ツリー"], ["大阪城", "スカイツリー"]),
        ("インドの首都は？", ["イン", "インド"], ["インド"]),
        ("キャベツの値段", ["キ", "キャベツ", "キャ"], ["キャベツ"]),
        ("かぎを持つ人", ["かき", "かぎ"], ["かぎ"]),
        ("ﾃﾚﾋﾞの売上", ["テレビ"], ["テレビ"]),
        ("佐藤花子さんの住所", ["佐藤\u3000花子"], ["佐藤\u3000花子"]),
        ("「雪」という名の人", ["雪"], ["雪"]),
        # Korean: particles follow words
        ("대전에서 광주까지 가는 버스는 몇 대입니까?", ["대전", "광주", "서광"], ["대전", "광주"]),
        ("국수도 있습니까?", ["수도", "국수"], ["국수"]),
        ("각 부서의 이름", ["가", "각"], ["각"]),
        ("서울 시청이 어디입니까?", ["서울 시청", "서울"], ["서울 시청"]),
        # Thai, Lao, Khmer, Burmese
        ("มีโรงแรมกี่แห่งในเชียงรายและภูเก็ต", ["เชียงราย", "ภูเก็ต", "ภู", "ก็"], ["เชียงราย", "ภูเก็ต"]),
        ("ราคาของข้าวผัด", ["ขาว", "ข้าว", "ข้าวผัด"], ["ข้าวผัด"]),
        ("ມີຈັກຄົນຢູ່ປາກເຊ", ["ປາກເຊ", "ກເ"], ["ປາກເຊ"]),
        ("តើមានមនុស្សប៉ុន្មាននៅសៀមរាប", ["សៀមរាប", "មន"], ["សៀមរាប"]),
        ("မန္တလေးမှာ လူဘယ်နှစ်ယောက်ရှိသလဲ", ["မန္တလေး", "မန"], ["မန္တလေး"]),
        # mixed with other scripts and numbers
        ("南京 Nanjing 2014的门票卖了多少？", ["南京 Nanjing 2014", "南京"], ["南京 Nanjing 2014"]),
        ("南京Nanjing 2014的门票", ["南京 Nanjing 2014"], ["南京 Nanjing 2014"]),
        ("2014年在Osaka的演唱会", ["2014", "14", "Osaka"], ["2014", "Osaka"]),
        ("使用C++的公司", ["C++", "C"], ["C++"]),
        ("12号线有几站？", ["2号线", "12号线"], ["12号线"]),
        ("IPHONE 15手机的价格", ["iPhone 15手机", "5手机"], ["iPhone 15手机"]),
        ("ABC株式会社の社員数", ["ＡＢＣ株式会社"], ["ＡＢＣ株式会社"]),
        ("How many people live in 深圳?", ["深圳", "people"], ["people", "深圳"]),
        # nothing
        ("", ["北京"], []),
        ("How many people live in Paris?", ["巴黎"], []),
        ("请问有几个？", ["北京", "Paris"], []),
    ],
)
def test_values_of_each_language(match, question, values, expected):
    assert match(values, question) == expected


def test_cells_that_differ_in_blanks_or_width_are_all_found(match):
    values = ["佐藤 花子", "佐藤\u3000花子", "佐藤花子", "佐藤\u3000花子 "]
    assert sorted(match(values, "佐藤花子さんの住所")) == sorted(values)


def test_every_form_is_found_by_its_beginning():
    forms = {form: None for value in ("a座 2", "座", "甲") for form in written_forms(value)}
    assert list(forms) == ["a座 2", "a座2", "座", "甲"]
    found = list(find_parts("A座2和甲,a座 2", forms, lengths_by_beginning(forms)))
    assert found == [("a座2", 0, 3), ("座", 1, 2), ("甲", 4, 5), ("a座 2", 6, 10), ("座", 7, 8)]
    assert list(find_parts("BA座22", forms, lengths_by_beginning(forms))) == [("座", 2, 3)]


@pytest.mark.parametrize(
    ("text", "part", "chance"),
    [
        ("甲班", "甲", False),
        ("有甲", "有", True),
        ("은 가", "가", False),
        ("가격", "가", True),
        ("は、に", "は", False),
    ],
)
def test_single_letters(text, part, chance):
    start = text.index(part)
    assert stands_by_chance(text, start, start + len(part)) == chance


def test_many_values_and_questions_in_time(match, tmp_path):
    """A question is not compared with every value."""
    values = [f"{chr(0x4E00 + n // 150)}{chr(0x5E00 + n % 150)}市第{n}中学" for n in range(30_000)]
    assert match(values, f"请问{values[777]}和{values[29_999]}的学生人数" * 5) == [values[777], values[29_999]]
