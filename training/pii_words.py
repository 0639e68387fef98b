"""Names, postal addresses and dates of birth, found by the words around them.

Names are found only after words that announce one ("my name is", 我叫): without a model of language everything else is
guessing, and a shop's catalogue is full of capitals. What was announced once is masked in the whole conversation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

_NO_NAMES = """
a about actually after again all already also always am an and any anyone are as at back be because been before bought
but buy by call called calling came can cannot chatting check could currently customer did do does doing don due email
english for from get getting given going good got had happy has have having he hello help her here hi him his hoping
how i if in interested into is issue it its just keen kind last late less like looking lost made mail maybe me
misspelled missing more my name need needs new next no none not now number of off oh ok okay on one only or order
ordered our out over phone please problem received returning right same see sent she should since so some someone
something soon sorry speaking spelled spelt still stuck sure talking thanks thank that the their them then there these
they thing this those to today tomorrow too trying two unhappy unsure up upset us very waiting want wanted was we well
were what when where which while who whose why will with wondering would writing wrong yes yesterday yet you your
"""
_STOP = frozenset(_NO_NAMES.split())
_PARTICLES = r"(?:van|von|der|den|de|del|della|di|da|dos|du|la|le|el|al|bin|ibn|ben|bint|st\.?|ter|ten|zu|y|e|mc|mac|o)"
_NAME_WORD = r"[^\W\d_](?:[^\W\d_]|['’\-](?=[^\W\d_])){0,24}"
_TITLE = r"(?:(?:mr|mrs|ms|miss|dr|prof|sir|madam|herr|frau)\.?\ )"
_CUES = re.compile(
    r"\b(?:(?:my|the|full|first|last|account|card)\ (?:full\ |first\ |last\ |family\ |legal\ )?(?:name|surname)"
    r"(?:\ on\ (?:it|the\ [a-z]+))?(?:\ is|['’]s|:|\ =)|name['’]?s|(?:(?:full\ |first\ |last\ )?name|surname|customer|"
    r"attn|recipient|account\ holder|cardholder)\ ?:|"
    r"this\ is(?=\ [^\d\n]{2,60}?\ (?:speaking|here|calling|again|from\ )\b)|"
    r"(?:i\ am|i['’]m|im)\ called|(?:you\ (?:can|may)\ )?call\ me|i\ go\ by|(?:kind\ |best\ |warm\ |many\ )?regards,?|"
    r"sincerely,?|yours,|cheers,|it['’]s(?=\ [^\d\n]{2,60}?\ (?:speaking|here|calling)\b)|"
    r"in\ the\ name\ of|(?:under|on)\ the\ name(?:\ of)?|registered\ to|addressed\ to|deliver(?:ed)?\ to\ mr|"
    r"(?:i\ am|i['’]m|speak(?:ing)?\ (?:to|with)|ask\ for|for|to|dear)(?=\ (?:mr|mrs|ms|dr|prof)\.?\ ))[\s,]{1,3}",
    re.IGNORECASE,
)
_WORDS = re.compile(
    rf"{_TITLE}?(?P<first>{_NAME_WORD})(?:\.?\ (?:{_PARTICLES}\ ){{0,2}}(?:[^\W\d_]\.\ )?{_NAME_WORD}){{0,3}}", re.I
)
_I_AM = re.compile(
    r"(?:\b(?:I\ am|I['’]m|i\ am|i['’]m|Hi,?\ |Hello,?\ )\s?|^)"
    rf"(?P<name>[A-Z][a-z'’\-]{{1,20}}(?:\ (?:{_PARTICLES}\ )?[A-Z][a-z'’\-]{{1,20}}){{1,2}})"
    r"(?=[,.!]?\ (?:here|speaking|from|and\ I|calling)\b)"
)
_GAP = re.compile(r"\s+")


def names(text: str) -> Iterator[Span]:
    """Names that somebody announces, in English and Chinese."""
    for cue in _CUES.finditer(text):
        words = _WORDS.match(text, cue.end())
        if words:
            span = _until_stop(text, words, cue.group())
            if span:
                yield span
    for match in _I_AM.finditer(text):
        if match["name"].split()[0].lower() not in _STOP:
            yield match.span("name")
    yield from _chinese_names(text)


def _until_stop(text: str, match: re.Match[str], cue: str) -> Span | None:
    """The words up to the first that no name has. In lower case, three words at the most."""
    end, taken, capital = match.start(), 0, text[match.start("first")].isupper()
    for word in re.finditer(r"[^\s]+", match.group()):
        plain = word.group().strip(".,'’").lower()
        if plain in _STOP and not (capital and taken and word.group()[0].isupper() and len(plain) < 4):
            break
        if capital and taken and word.group()[0].islower() and not re.fullmatch(_PARTICLES, plain):
            break
        if not capital and taken >= 3:
            break
        taken += not re.fullmatch(_PARTICLES, plain)
        end = match.start() + word.end()
    return (match.start(), end) if taken else None


_SURNAMES = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章云苏潘葛奚范彭郎鲁韦昌马苗凤花方俞任"
    "袁柳酆鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于时傅皮卞齐康伍余元卜顾孟平黄和穆萧尹姚邵湛汪祁毛禹狄米贝明臧计伏成"
    "戴谈宋茅庞熊纪舒屈项祝董梁杜阮蓝闵席季麻强贾路娄危江童颜郭梅盛林刁钟徐邱骆高夏蔡田樊胡凌霍虞万支柯昝管卢莫经房裘缪"
    "干解应宗丁宣贲邓郁单杭洪包诸左石崔吉钮龚程嵇邢滑裴陆荣翁荀羊於惠甄曲家封芮羿储靳汲邴糜松井段富巫乌焦巴弓牧隗山谷车侯"
    "宓蓬全郗班仰秋仲伊宫宁仇栾暴甘厉戎祖武符刘景詹束龙叶幸司韶郜黎蓟薄印宿白怀蒲邰从鄂索咸籍赖卓蔺屠蒙池乔阴胥能苍双闻"
    "莘党翟谭贡劳逄姬申扶堵冉宰郦雍桑桂濮牛寿通边扈燕冀郏浦尚农温别庄晏柴瞿阎充慕连茹习宦艾鱼容向古易慎戈廖庾终暨居衡步都"
    "耿满弘匡国文寇广禄阙东欧殳沃利蔚越夔隆师巩厍聂晁勾敖融冷訾辛阚那简饶空曾毋沙乜养鞠须丰巢关蒯相查后荆红游竺权逯盖益桓公肖涂付闫"
)
_DOUBLE = (
    "欧阳|太史|端木|上官|司马|东方|独孤|南宫|万俟|闻人|夏侯|诸葛|尉迟|公羊|赫连|澹台|皇甫"
    "|宗政|濮阳|公冶|太叔|申屠|公孙|慕容|仲孙|钟离|长孙|宇文|司徒|鲜于|司空|令狐"
)
_NO_NAME = "的是了要想在我你您他她它和与跟有没不把给就请问说买订下收去来到这那吗呢吧，。！？、；：,.!?;: \n"
_CHINESE = re.compile(
    r"(?:我叫(?:做)?|我的(?:名字|姓名|全名)(?:是|叫)|名字(?:是|叫)|姓名[:：是为]?|(?:收件|收货|联系)人(?:是|为)?[:：]?|"
    rf"(?:我|本人)是(?=(?:{_DOUBLE}|[{_SURNAMES}])[\u4e00-\u9fff]{{1,2}}(?:$|[，,。.！!；;\s]))|称呼我)\s?"
    rf"(?P<name>(?:{_DOUBLE}|[{_SURNAMES}])[^\W\d_{_NO_NAME}a-zA-Z]{{1,2}}"
    r"|[A-Za-z][A-Za-z'’\-]{1,24}(?:\ [A-Z][A-Za-z'’\-]{1,24}){0,2})"
    rf"|(?:我姓|免贵姓|姓)(?P<family>{_DOUBLE}|[{_SURNAMES}])"
)


def _chinese_names(text: str) -> Iterator[Span]:
    for match in _CHINESE.finditer(text):
        yield match.span("name" if match["name"] else "family")


_BETWEEN = (
    r"(?!(?:hours?|days?|weeks?|months?|years?|minutes?|times?|of|the|by|on|in|off|per|and|or|to|for|is|was|are|am|pm|"
    r"items?|orders?|pieces?|cups?|mugs?|more|less)\b)"
)
_STREET_WORD = rf"{_BETWEEN}[^\W_](?:[^\W_]|['’.\-]){{0,24}}"
_SURE = r"(?:street|str|road|rd|avenue|ave|lane|boulevard|blvd|highway|hwy|parkway|pkwy|crescent|terrace)"
_CAPITAL = (
    r"(?:St|Ln|Dr|Drive|Court|Ct|Way|Place|Pl|Square|Sq|Close|Gardens|Grove|Hill|Row|Walk|Mews|Circle|Cir|Trail|Loop|"
    r"Quay|Park|Green|View)"
)
_FLAT = r"(?:(?i:flat|apt|apartment|unit)\ \w{1,5},?\ )?"
_UNIT = r"(?:,?\ (?i:apt|apartment|flat|unit|suite|ste|room|floor|fl)\.?\ ?#?[\w\-]{1,6}|,?\ #\w{1,5})"
_POSTCODE = (
    r"(?:[A-Z]{1,2}\d[A-Z\d]?\ ?\d[A-Z]{2}|[A-Z]{2}\ \d{5}(?:-\d{4})?|\d{5}(?:-\d{4})?|\d{4}\ ?[A-Z]{2}"
    r"|[A-Z]\d[A-Z]\ ?\d[A-Z]\d)"
)
_TOWN = r"(?:,?\ (?:[A-Z][\w'’.\-]{1,20}\ ?){1,3})"
_TAIL = rf"{_UNIT}?(?:,{_TOWN}(?:,?\ ?{_POSTCODE})?|,?\ {_POSTCODE}{_TOWN}?)?"
_NUMBERED = rf"(?<![\w.#\-]){_FLAT}\d{{1,5}}[A-Za-z]?,?\ "
_CITY = r"(?:,?\ \d{4,5}\ [^\W\d_]{2,25})?"
_ADDRESSES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_NUMBERED}(?i:{_STREET_WORD}\ ){{1,3}}(?i:{_SURE})\b\.?{_TAIL}",
        rf"{_NUMBERED}(?:(?!(?i:hours?|days?)\b)[A-Z][\w'’.\-]{{0,24}}\ ){{1,3}}{_CAPITAL}\b\.?{_TAIL}",
        r"(?i:\b(?:live|lives|living|deliver\w*|ship|send|sent|moved?|address)\b[^\d\n]{0,30}?)"
        rf"(?P<value>\d{{1,5}}[A-Za-z]?\ (?i:{_STREET_WORD}\ ){{1,3}}(?i:{_CAPITAL})\b\.?{_TAIL})",
        r"(?i:\baddress)(?:(?i:\ is|\ was|\ to)\s+(?=[A-Z0-9])|:\s+)(?P<value>(?=[^?!]{0,120}\d)(?!\S*@)[^?!@]{5,120}?)"
        r"(?=[?!]|\.\s+[A-Z]|\.?$|\n\n|,\ (?:please|thanks|can|could|I|but|and)\b)",
        r"(?i:\b[^\W\d_]{2,25}(?:straße|strasse|str\.|weg|platz|allee|gasse|straat|laan|gade|gatan|katu|vej|vænget|stien)"
        rf"\ \d{{1,4}}\ ?[a-h]?\b{_CITY})",
        r"(?i:(?<!\w)\d{1,4},?\ (?:bis\ |ter\ )?(?:rue|avenue|boulevard|place|chemin|impasse|quai|allée)"
        rf"\ (?:[^\W\d_]{{1,20}}[\ '’\-]?){{1,5}}{_CITY})",
        r"(?i:\b(?:calle|avenida|plaza|via|viale|piazza|rua)\ (?:[^\W\d_]{1,20}\ ?){1,4},?"
        rf"\ (?:n[º°o.]{{1,2}}\ ?)?\d{{1,4}}\b{_CITY})",
        r"(?i:\b(?:p\.?\ ?o\.?\ box|postfach|pobox)\ ?#?\d{1,8}\b)",
        r"(?<![A-Za-z0-9\-])(?:[A-Z]{1,2}\d[A-Z\d]?\ ?\d[A-Z]{2}|[A-Z]\d[A-Z]\ \d[A-Z]\d)(?![A-Za-z0-9\-])",
        r"(?<![a-z0-9\-])[a-z]{1,2}\d{1,2}\ \d[a-z]{2}(?![a-z0-9\-])",
    )
)
"""Street with a number before it, what follows "address is", streets of other countries, post boxes, postal codes."""
_HAN = r"[\u4e00-\u9fff]"
_PROVINCE, _ROOM = rf"(?:{_HAN}{{2,7}}?(?:省|自治区))?", r"(?:\d{1,3}单元)?(?:\d{1,5}(?:室|房|户|号))?"
_CHINESE_ADDRESS = re.compile(
    rf"{_PROVINCE}(?:{_HAN}{{2,6}}?市)?(?:{_HAN}{{1,6}}?(?:区|县|镇|乡))?{_HAN}{{1,10}}?(?:路|街|大道|道|巷|胡同|弄|村|里)"
    rf"\ ?\d{{1,5}}(?:号院|号|弄)(?:{_HAN}{{0,8}}?\d{{1,4}}(?:栋|幢|号楼|楼|座))?{_ROOM}"
    rf"|{_PROVINCE}{_HAN}{{2,6}}?市{_HAN}{{1,6}}?(?:区|县){_HAN}{{2,12}}?\d{{1,4}}(?:栋|幢|号楼|座){_ROOM}"
)
_BEFORE_ADDRESS = re.compile(r".*(?:寄到|送到|发到|改成|改为|地址是|地址为|住在|寄往|搬到|我在|到|是|为|在)")


def addresses(text: str) -> Iterator[Span]:
    """Streets with a house number, postal codes of letters and digits, post boxes."""
    if not re.search(r"\d", text):
        return
    for pattern in _ADDRESSES:
        for match in pattern.finditer(text):
            start, end = match.span("value") if "value" in pattern.groupindex else match.span()
            yield start, start + len(text[start:end].rstrip(" ,."))
    for match in _CHINESE_ADDRESS.finditer(text):
        before = _BEFORE_ADDRESS.match(match.group())
        yield match.start() + (before.end() if before and before.end() < len(match.group()) - 3 else 0), match.end()


_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_CUT = r"\ ?[-/.]\ ?"
_DATE = (
    rf"(?:(?:\d{{4}}|\d{{2}}){_CUT}\d{{1,2}}{_CUT}\d{{1,2}}|\d{{1,2}}{_CUT}\d{{1,2}}{_CUT}(?:\d{{4}}|\d{{2}})"
    rf"|{_DAY}(?:st|nd|rd|th)?\ (?:of\ )?{_MONTH},?\ (?:\d{{4}}|'\d{{2}})|{_MONTH}\ {_DAY}(?:st|nd|rd|th)?,?\ \d{{4}}"
    r"|\d{4}年\ ?\d{1,2}月\ ?\d{1,2}[日号]|\d{8}|\d{6})(?!\d)"
)
_OLD_YEAR = r"(?:19\d\d|200\d|201[0-2])"
_BIRTH = re.compile(
    r"(?:\b(?:born|birth\ ?da(?:y|te)|date\ of\ birth|d\.?\ ?o\.?\ ?b\.?|bday|geboren|geburtsdatum)\b\.?[^\d\n]{0,25}?"
    rf"|(?:生日|出生(?:日期|年月日|于)?|生于)[^\d\n]{{0,6}})"
    rf"(?P<value>(?<!\d){_DATE}|(?<!\w){_MONTH}\ {_DAY}(?:st|nd|rd|th)?|\d{{1,2}}月\d{{1,2}}[日号])",
    re.IGNORECASE,
)
_BIRTH_AFTER = re.compile(
    rf"(?P<value>(?<!\d){_DATE})\ ?(?:出生|生的?(?=$|[，,。])|\(?(?:dob|date\ of\ birth))", re.IGNORECASE
)
_OLD_DATE = re.compile(
    rf"(?<![\d\-/.])(?P<value>{_OLD_YEAR}[-/.](?:0?[1-9]|1[0-2])[-/.]{_DAY}|{_DAY}[-/.]{_DAY}[-/.]{_OLD_YEAR}"
    rf"|{_OLD_YEAR}年\d{{1,2}}月\d{{1,2}}[日号]"
    rf"|{_DAY}(?:st|nd|rd|th)?\ (?:of\ )?{_MONTH},?\ {_OLD_YEAR}"
    rf"|(?<!\w){_MONTH}\ {_DAY}(?:st|nd|rd|th)?,?\ {_OLD_YEAR})(?![\d\-/])",
    re.IGNORECASE,
)


def births(text: str) -> Iterator[Span]:
    """Dates that words call a birth, and whole dates so long ago that nothing was ordered on them."""
    for pattern in (_BIRTH, _BIRTH_AFTER, _OLD_DATE):
        yield from (match.span("value") for match in pattern.finditer(text))
