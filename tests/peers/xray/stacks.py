"""Random stack traces, plausible and not, out of lines that the parsers look at."""

LINES = {
    "java": ["\tat a.b.C.d(C.java:12)", "\tat app//x.Y.z(Y.java)", "\tat java.base/q.W.e(Native Method)",
             "\tat m(x:y:3)", "\tat broken(", "\tat (a:1)", "\tat x/y/z(a:99999999999999999999)",
             "Caused by: a.B: text: more", "Caused by: a.B", "Caused by: F:x", "Caused by: ",
             "Caused by: a: \u00e9", "\t... 3 more", "Suppressed: s", "\t\tat deep.A.b(A.java:3)",
             "Caused by: a:b", "some text", "", "\tat a(b:-5)", "\tat a(b:+5)", "\tat a(b)(c:1)"],
    "python": ['  File "a.py", line 3, in f', '  File "b.py", line x, in <module>', "    code()",
               '  File "c.py", line 4', "  File a, b, c, d", "", "ValueError: bad", "KeyError: 'x'",
               "During handling of the above exception, another exception occurred:", "nothing here",
               "Traceback (most recent call last):", '  File "d.py", line -9, in g: h', "    ^^^^",
               "The above exception was the direct cause of the following exception:", "E: a: b",
               '  File "e.py",line 5,in h', "  File xy, line 1, in z"],
    "javascript": ["    at f (file.js:1:2)", "    at a.js:3:4", "    at new X (native)", "    at native",
                   "    at f (https://h/x.js:1:2)", "    at node:internal/x:5:6", "    at f (a.js:7)",
                   "    at x)", "    at (", "    at f (g (h:1:2))", "    at ", "  at f (x:1:2)", "text",
                   "    at async f (C:\\x.js:1:2)", "    at f (a:b:c)", "    at f (my native.js)", ""],
    "dotnet": ["   at A.B.C() in /x/y.cs:line 42", "  at A.B(String s)", "at X() in a in b:line 3",
               "   at A.B.C() in C:\\x.cs:line 7", "at Q() in x", "at Q() in x:7", "text", "at none",
               "   --- End of inner exception stack trace ---", "at Q() in x:linen5", "at )(", "",
               "\u00a0at U() in v:line 1\u2003", "at Q() in :line 5", "at Q() in x:line  5"],
    "go": ["goroutine 1 [running]:", "main.f(0x1)", "\t/x/main.go:12 +0x1d", "goroutine 7 [sleep]:",
           "created by main.g", "  a b:12", "x:", ":5", "a:99999999999999999999", "", "panic: x",
           "goroutine 2 [running]: ", "goroutinerunning:", "goroutine 1 [xrunning]:", "\u00a0b:3",
           "goroutine running x:", "a:1:2", "\x0bq:8"],
}
LINES["php"] = LINES["java"]


def chunk(rng, language):
    """A few lines that belong together."""
    if language == "python" and rng.random() < 0.3:
        head = LINES["python"][8]
        return ['  File "a.py", line 3, in f', "    code()"] * rng.randrange(1, 3) + [
            rng.choice(["ValueError: bad", "a: b\nc", "none", "X: "]), "", head, "",
            "Traceback (most recent call last):"]
    return [rng.choice(LINES[language]) for _ in range(rng.randrange(1, 5))]


def stack(rng, language):
    language = language or rng.choice(list(LINES))
    lines = [rng.choice(["first: line", "", "Traceback (most recent call last):", "x"])]
    for _ in range(rng.randrange(5)):
        lines += chunk(rng, language)
    return rng.choice(["\n", "\n", "\n", "\r\n"]).join(lines) + rng.choice(["", "\n", "\n\n", "\r"])
