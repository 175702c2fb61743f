"""The forms of OTLP/JSON that senders are known or likely to write, one question each.

proto/src/json/read_tests.rs has the same as far as our reader is concerned.
"""

from questions import JSON, good_json, json_span

SPANS = "JSON spans"
VALUES = "JSON values of attributes"
TEXTS = "JSON texts"
SPAN_ID = '"spanId":"eee19b7ec3c1b174"'

FIELDS = [
    ("names in snake_case", '"trace_state":"a=b","dropped_links_count":3'),
    ("names in PascalCase", '"TraceState":"a=b","Name":"n"'),
    ("a name twice", '"name":"a","name":"b"'),
    ("an unknown field", '"later":{"a":[1,{"b":null}]},"name":"n"'),
    ("an unknown field, 500 lists deep", f'"later":{"[" * 500}{"]" * 500},"name":"n"'),
    ("name null", '"name":null'),
    ("name a number", '"name":7'),
    ("name with a raw control character", '"name":"a\tb"'),
    ("name with an escaped NUL", '"name":"a\\u0000b"'),
    ("name with half a surrogate pair", '"name":"cut \\ud83d"'),
    ("name with an escape that is none", '"name":"a\\xb"'),
    ("lists null", '"attributes":null,"events":null,"links":null'),
    ("lists empty", '"attributes":[],"events":[],"links":[]'),
    ("lists of null", '"events":[null],"links":[null]'),
    ("attributes of null", '"attributes":[null]'),
    ("attributes of {}", '"attributes":[{}]'),
    ("attributes an object", '"attributes":{"k":"v"}'),
    ("status {}", '"status":{}'),
    ("status null", '"status":null'),
    ("status a list", '"status":[]'),
    ("status code 2", '"status":{"code":2}'),
    ("status code by name", '"status":{"code":"STATUS_CODE_ERROR"}'),
    ("status code as \"2\"", '"status":{"code":"2"}'),
    ("status code in lower case", '"status":{"code":"status_code_error"}'),
    ("kind 3", '"kind":3'),
    ("kind by name", '"kind":"SPAN_KIND_CLIENT"'),
    ("kind as \"3\"", '"kind":"3"'),
    ("kind \"CLIENT\"", '"kind":"CLIENT"'),
    ("kind 77", '"kind":77'),
    ("kind -1", '"kind":-1'),
    ("kind 3.0", '"kind":3.0'),
    ("kind null", '"kind":null'),
    ("time as a number", '"startTimeUnixNano":1544712660300000000'),
    ("time as 1.5e9", '"startTimeUnixNano":1.5e9'),
    ("time as \"1.5e9\"", '"startTimeUnixNano":"1.5e9"'),
    ("time 1.5", '"startTimeUnixNano":1.5'),
    ("time -1", '"startTimeUnixNano":-1'),
    ("time \"-1\"", '"startTimeUnixNano":"-1"'),
    ("time \"\"", '"startTimeUnixNano":""'),
    ("time \" 7\"", '"startTimeUnixNano":" 7"'),
    ("time \"+7\"", '"startTimeUnixNano":"+7"'),
    ("time \"0x10\"", '"startTimeUnixNano":"0x10"'),
    ("time over 64 bits", '"startTimeUnixNano":"18446744073709551616"'),
    ("time null", '"startTimeUnixNano":null'),
    ("time true", '"startTimeUnixNano":true'),
    ("flags 4294967295", '"flags":4294967295'),
    ("flags 4294967296", '"flags":4294967296'),
    ("flags \"257\"", '"flags":"257"'),
    ("a count as \"9\"", '"droppedEventsCount":"9"'),
    ("a count of -1", '"droppedEventsCount":-1'),
    ("parentSpanId \"\"", '"parentSpanId":""'),
    ("parentSpanId null", '"parentSpanId":null'),
    ("parentSpanId of zeros", '"parentSpanId":"0000000000000000"'),
    ("a link in upper case",
     '"links":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174"}]'),
    ("an event with everything",
     '"events":[{"timeUnixNano":"5","name":"e","attributes":[{"key":"k","value":'
     '{"stringValue":"v"}}],"droppedAttributesCount":1}]'),
]

IDS = [
    ("trace id in upper case", lambda t: f'"traceId":"{t:032X}",{SPAN_ID}'),
    ("span id in upper case", lambda t: f'"traceId":"{t:032x}","spanId":"EEE19B7EC3C1B174"'),
    ("span id in base64", lambda t: f'"traceId":"{t:032x}","spanId":"7uGbfsPBsXQ="'),
    ("trace id of 30 digits", lambda t: f'"traceId":"{t:030x}",{SPAN_ID}'),
    ("trace id of 33 digits", lambda t: f'"traceId":"{t:033x}",{SPAN_ID}'),
    ("trace id as a UUID",
     lambda t: f'"traceId":"00000000-0000-0000-0000-{t:012x}",{SPAN_ID}'),
    ("trace id that is no hex", lambda t: f'"traceId":"{"z" * 32}",{SPAN_ID}'),
    ("trace id \"\"", lambda t: f'"traceId":"",{SPAN_ID}'),
    ("trace id null", lambda t: f'"traceId":null,{SPAN_ID}'),
    ("trace id of zeros", lambda t: f'"traceId":"{"0" * 32}",{SPAN_ID}'),
    ("trace id a number", lambda t: f'"traceId":7,{SPAN_ID}'),
    ("no ids", lambda t: '"name":"n"'),
]

ATTRIBUTES = [
    '{"stringValue":""}', '{"stringValue":null}', '{"stringValue":7}', '{"string_value":"v"}',
    '{"boolValue":true}', '{"boolValue":false}', '{"boolValue":"true"}', '{"boolValue":1}',
    '{"intValue":5}', '{"intValue":"5"}', '{"intValue":"0"}', '{"intValue":-5}',
    '{"intValue":5.0}', '{"intValue":5.5}', '{"intValue":1e3}', '{"intValue":"five"}',
    '{"intValue":""}', '{"intValue":null}', '{"intValue":"9223372036854775807"}',
    '{"intValue":"9223372036854775808"}', '{"intValue":"-9223372036854775808"}',
    '{"doubleValue":2.5}', '{"doubleValue":"2.5"}', '{"doubleValue":7}', '{"doubleValue":"NaN"}',
    '{"doubleValue":"Infinity"}', '{"doubleValue":"-Infinity"}', '{"doubleValue":"inf"}',
    '{"doubleValue":"nan"}', '{"doubleValue":NaN}', '{"doubleValue":1e400}',
    '{"doubleValue":"1e400"}', '{"doubleValue":""}', '{"doubleValue":null}',
    '{"bytesValue":"+/8="}', '{"bytesValue":"+/8"}', '{"bytesValue":"-_8="}',
    '{"bytesValue":"!"}', '{"bytesValue":""}', '{"bytesValue":[1,2]}',
    '{"arrayValue":{}}', '{"arrayValue":{"values":[]}}', '{"arrayValue":{"values":null}}',
    '{"arrayValue":{"values":[null]}}', '{"arrayValue":[]}', '{"arrayValue":null}',
    '{"arrayValue":{"values":[{"intValue":1},{"stringValue":"a"}]}}',
    '{"kvlistValue":{}}', '{"kvlistValue":{"values":[{"key":"a","value":{"intValue":1}}]}}',
    '{"kvlistValue":null}', '{"laterValue":1}', '{"stringValue":"a","intValue":1}',
    '{"intValue":1,"stringValue":"a"}', '{}', 'null', '"v"', '[]',
]


def outside(t):
    """The text around a good span: what is said before, after and instead."""
    whole = good_json(t).decode()
    spans = whole.split('"spans":')[1][: -len("}]}]}")]
    return {
        "`{}`": "{}", "`null`": "null", "`[]`": "[]", "`7`": "7", '`""`': '""',
        "nothing": "", "white space": " \n", "`{\"resourceSpans\":null}`": '{"resourceSpans":null}',
        "`{\"resourceSpans\":[null]}`": '{"resourceSpans":[null]}',
        "`{\"resourceSpans\":[{}]}`": '{"resourceSpans":[{}]}',
        "`{\"resourceSpans\":{}}`": '{"resourceSpans":{}}',
        "names in snake_case":
            f'{{"resource_spans":[{{"scope_spans":[{{"spans":{spans}}}]}}]}}',
        "scope and resource null": whole.replace(
            '{"scopeSpans":[{', '{"resource":null,"scopeSpans":[{"scope":null,'),
        "`instrumentationLibrarySpans`, as before OTLP 0.15":
            whole.replace("scopeSpans", "instrumentationLibrarySpans"),
        "`resourceSpans` twice": whole[:-1] + "," + whole[1:],
        "metrics": '{"resourceMetrics":[{"scopeMetrics":[]}]}',
        "a comma too many": whole[:-1] + ",}", "cut short": whole[:-5],
        "an object after it": whole + "{}", "garbage after it": whole + "x",
        "a line's end after it": whole + "\n", "a byte order mark before it": "\ufeff" + whole,
        "a comment": "/* spans */" + whole, "names in single quotes": whole.replace('"', "'"),
        "UTF-16": whole.encode("utf-16"),
        "a byte that is no UTF-8": whole.encode().replace(b'"name":"n"', b'"name":"\xff"'),
    }


def nested(depth):
    value = '{"arrayValue":{"values":[' * depth + '{"intValue":1}' + "]}}" * depth
    return f'"attributes":[{{"key":"k","value":{value}}}]'


def ask(book):
    def json(group, name, body):
        book.http(group, name, body, JSON)

    for name, fields in FIELDS:
        json(SPANS, name, lambda t, f=fields: json_span(t, f))
    for name, ids in IDS:
        json(SPANS, name, lambda t, i=ids: json_span(t, i(t), ids=False))
    for value in ATTRIBUTES:
        fields = f'"attributes":[{{"key":"k","value":{value}}}]'
        json(VALUES, f"`{value}`", lambda t, f=fields: json_span(t, f))
    for depth in (10, 32, 40, 200):
        json(VALUES, f"{depth} lists in each other", lambda t, d=depth: json_span(t, nested(d)))
    for name in outside(0):
        text = lambda t, n=name: outside(t)[n]
        body = lambda t, x=text: x(t) if isinstance(x(t), bytes) else x(t).encode()
        json(TEXTS, name, body)
