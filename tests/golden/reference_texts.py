"""Texts that DialoGPT's public code treats in some way of its own."""

import random

TEXTS = [
    "tab\tand\nline\rbreak", "nul\x00vt\x0bff\x0cfs\x1cgs\x1dnel\x85ls\u2028ps\u2029end",
    "fish &amp; chips &lt;3 &#39;n&#39; &nbsp; &#x200B; more",
    "zero\u200bwidth \ufeffmark \u202eright", "emoji \U0001f600 caf\u00e9 don\u2019t na\u00efve",
    "\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440", "\u65e5\u672c \u8a9e",
    "see www.example.com now", "see http://example.com/x now", "the word http alone",
    "HTTPS://X.ORG too", "prehttp://x stays before", "a [link](http://x.com) here",
    "a [link] here", "a (thought) here", "this URL word", "CURLY and CURLS", "hey MENTION you",
    "typed __url__ here", "typed __mention__ here", "____mention____ and __url____url__",
    "__url__mention__ both", "URLURL and MENTIONURL", "aURL xURLs", "literal EOS here EOS",
    "wow!!! great", "why??? so", "no no no way", "no no way no", "dots.... and.....",
    "dots . . . . apart", "spaced  .  .  out", "YELL out", "YELLS out", "xYELLSx out",
    "AB CDE FGHIJ", "1.0 1.0 is weighty", "1.0 1.0 1.0 thrice", "1.0 2.0 fine",
    "it's 8:30 or 18:30", "costs 1,000,000.50", "call 555 1234 or 1 (555) 555-1234",
    "call (555)555.1234 now", "in 1999 2000 20001 years", "12345678 123456789", ":) ;) :-( 8) :D",
    "do: this P: that po8", "8days 8pm d8 d'8 (8 [8", "end.Next sentence", "U.S.A and i.e. that",
    "a.bc.d and x.y2 and x.abcdefghijklmn", "mp3 html5 abc3def a1b2",
    "don't dogs' 'tis rock'n'roll a''b", "b/c of j/k and w/o or w/ it", "show/hide B/C W/ b/cw/o",
    "w/http://x and w/ttp:a", "#tag word #", "\\#tag gone", "back\\slash \\\\ b\\/c",
    "“quoted” ““““““ words", "straight \"quotes\" and - dashes", "!? ?! :: ,,, '''",
    "\u0130\u0130http://x.com/abcdef after", "\u0130 http://x", "K\u212aelvin \u017ftrange",
    "x" * 14 + ".com abc." + "d" * 13, "a.b." * 70 + "com " + "a.b." * 62 + "com",
    "ends with blank \u00a0", "  leads with blanks", "one.", "...", "? !",
]  # fmt: skip


def fuzz_texts(number: int, seed: int = 0) -> list[str]:
    """Texts of the pieces that the release's steps and its tokenizer look for."""
    source = random.Random(seed)
    pieces = [
        *"abdDpPoO818 0:()[],.!?'“”_ /\\#&>-\"é", "  ", ". ", "...", "URL", "MENTION", "http",
        "HTTP", "w/", "w/o", "b/c", "j/k", "555", "1234", "1", "0", "(555) ", "com", "a.b", "www.",
        "don't", "it's", "abc", "12:30", "1,000", "3.14", "\u00a0", "\u2028", "\x1c", "’",
        "__url__", "\u0130", "ttp://", "www.x.co/a", " do:", "8)", ":)", "1.0 ", "EOS", "\t",
        "ABCDE", "c__", "““““", "!!!!", "____",
    ]  # fmt: skip
    return ["".join(source.choices(pieces, k=source.randint(1, 12))) for _ in range(number)]
