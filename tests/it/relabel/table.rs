//! Lists of rules, a line for each rule, and the page that they are applied to.

/// Lists that both releases of Prometheus read, and mean the same by.
pub const BOTH: &[(&str, &[&str])] = &[
    // replace
    ("a copy", &["{source_labels: [env], target_label: stage}"]),
    ("a copy of none removes", &["{source_labels: [nowhere], target_label: env}"]),
    ("a copy of none where one is needed", &["{source_labels: [nowhere], regex: '(.+)', target_label: env}"]),
    ("a fixed value", &["{target_label: fixed, replacement: yes}"]),
    ("a fixed value for none", &["{source_labels: [nowhere], target_label: fixed, replacement: yes}"]),
    (
        "an empty replacement removes",
        &["{source_labels: [env], regex: prod, target_label: env, replacement: ''}"],
    ),
    ("nothing for a replacement removes", &["{target_label: env, replacement: }"]),
    ("joined", &["{source_labels: [env, host, nowhere], target_label: joined}"]),
    ("joined by another", &["{source_labels: [env, host], separator: ' / ', target_label: joined}"]),
    ("joined by nothing", &["{source_labels: [env, host], separator: '', target_label: joined}"]),
    ("joined by nothing at all", &["{source_labels: [env, host], separator: , target_label: joined}"]),
    (
        "groups",
        &["{source_labels: [host], regex: '([^.]+)\\.(.+)', replacement: '$2-${1}', target_label: host}"],
    ),
    (
        "a named group",
        &[
            "{source_labels: [host], regex: '(?P<short>[^.]+)\\..*', replacement: 'x${short}$short', target_label: short}",
        ],
    ),
    (
        "a group that is not there",
        &["{source_labels: [host], regex: '(.*)', replacement: 'a$2b$1c', target_label: odd}"],
    ),
    (
        "a group that took no part",
        &["{source_labels: [host], regex: '(web)?(.*)', replacement: '<$1>$2', target_label: odd}"],
    ),
    (
        "a name that runs on",
        &["{source_labels: [host], regex: '(.*)', replacement: '$1x', target_label: odd}"],
    ),
    ("a dollar", &["{target_label: price, replacement: '$$5 $ and $-'}"]),
    ("a brace that is not closed", &["{source_labels: [host], replacement: '${1', target_label: odd}"]),
    (
        "the whole as group 0",
        &["{source_labels: [host], regex: 'web.*', replacement: '[$0]', target_label: odd}"],
    ),
    (
        "a target of a group",
        &["{source_labels: [env, host], regex: '(\\w+);(\\w+).*', target_label: 'by_$1', replacement: '$2'}"],
    ),
    (
        "a target of a braced group",
        &[
            "{source_labels: [env, host], regex: '(\\w+);(\\w+).*', target_label: '${1}_by', replacement: '$2'}",
        ],
    ),
    (
        "a target that comes out empty",
        &["{source_labels: [host], regex: '(.*)', target_label: '${2}', replacement: x}"],
    ),
    (
        "a target that is a name's value",
        &["{source_labels: [__name__], regex: '(.*)', target_label: '${1}', replacement: itself}"],
    ),
    (
        "the name",
        &[
            "{source_labels: [__name__], regex: 'app_(.*)', target_label: __name__, replacement: 'renamed_$1'}",
        ],
    ),
    (
        "the name from labels",
        &["{source_labels: [__name__, env], separator: _, target_label: __name__, regex: '(.*)'}"],
    ),
    (
        "over a label for a while",
        &[
            "{source_labels: [host], target_label: __tmp}",
            "{source_labels: [__tmp], regex: '(.*)\\.example', target_label: host}",
            "{regex: __tmp, action: labeldrop}",
        ],
    ),
    ("a label for a while that stays", &["{target_label: __tmp_kept, replacement: x}"]),
    (
        "job and instance",
        &[
            "{source_labels: [job], target_label: from_job}",
            "{target_label: job, replacement: mine}",
            "{regex: instance, action: labeldrop}",
        ],
    ),
    (
        "one after the other",
        &[
            "{target_label: a, replacement: '1'}",
            "{source_labels: [a], target_label: b, replacement: '${1}2'}",
            "{source_labels: [b, a], target_label: c}",
        ],
    ),
    (
        "no match no change",
        &["{source_labels: [host], regex: 'nothing', target_label: host, replacement: x}"],
    ),
    ("only a part matches", &["{source_labels: [host], regex: 'web', target_label: host, replacement: x}"]),
    // keep and drop
    ("keep", &["{source_labels: [env], regex: prod, action: keep}"]),
    ("keep one of two", &["{source_labels: [env], regex: 'prod|test', action: keep}"]),
    ("keep what has a label", &["{source_labels: [host], regex: '.+', action: keep}"]),
    ("keep everything", &["{action: keep}"]),
    ("keep with nothing for an expression", &["{source_labels: [host], regex: , action: keep}"]),
    ("drop", &["{source_labels: [env], regex: prod, action: drop}"]),
    ("drop by name", &["{source_labels: [__name__], regex: 'app_.*_total', action: drop}"]),
    ("drop what lacks a label", &["{source_labels: [host], regex: '', action: drop}"]),
    ("drop everything", &["{action: drop}"]),
    (
        "keep then drop",
        &[
            "{source_labels: [env], regex: 'p.*', action: keep}",
            "{source_labels: [host], regex: 'db.*', action: drop}",
        ],
    ),
    ("in capitals", &["{source_labels: [env], regex: prod, action: KEEP}"]),
    ("in mixed letters", &["{source_labels: [env], target_label: e, action: UpperCase}"]),
    ("keepequal", &["{source_labels: [env], target_label: stage, action: keepequal}"]),
    ("dropequal", &["{source_labels: [env], target_label: stage, action: dropequal}"]),
    ("dropequal of two", &["{source_labels: [env, stage], target_label: both, action: dropequal}"]),
    ("keepequal of none", &["{source_labels: [nowhere], target_label: stage, action: keepequal}"]),
    // hashmod
    ("hashmod", &["{source_labels: [host], modulus: 10, target_label: shard, action: hashmod}"]),
    (
        "hashmod of two",
        &["{source_labels: [__name__, host], modulus: 1000003, target_label: shard, action: hashmod}"],
    ),
    ("hashmod of nothing", &["{modulus: 64, target_label: shard, action: hashmod}"]),
    (
        "hashmod of the largest",
        &["{source_labels: [host], modulus: 18446744073709551615, target_label: shard, action: hashmod}"],
    ),
    (
        "a shard",
        &[
            "{source_labels: [host], modulus: 2, target_label: __tmp_hash, action: hashmod}",
            "{source_labels: [__tmp_hash], regex: '1', action: keep}",
            "{regex: __tmp_hash, action: labeldrop}",
        ],
    ),
    // labelmap, labeldrop, labelkeep
    ("labelmap", &["{regex: 'meta_(.+)', action: labelmap}"]),
    (
        "labelmap to a name of its own",
        &["{regex: '(meta)_(.+)', replacement: '${2}_${1}', action: labelmap}"],
    ),
    ("labelmap of two to one", &["{regex: 'meta_.+', replacement: one, action: labelmap}"]),
    ("labelmap over one of them", &["{regex: 'meta_.+', replacement: meta_a, action: labelmap}"]),
    ("labeldrop", &["{regex: 'meta_.*|host', action: labeldrop}"]),
    ("labeldrop of none", &["{regex: 'met', action: labeldrop}"]),
    ("labelkeep", &["{regex: '__name__|env', action: labelkeep}"]),
    ("labelkeep of all with an e", &["{regex: '.*e.*', action: labelkeep}"]),
    // letters
    ("lowercase", &["{source_labels: [word], target_label: word, action: lowercase}"]),
    ("uppercase", &["{source_labels: [word, env], separator: '+', target_label: loud, action: uppercase}"]),
    ("uppercase of none removes", &["{source_labels: [nowhere], target_label: env, action: uppercase}"]),
    // expressions
    (
        "classes of ASCII",
        &["{source_labels: [word], regex: '[[:alpha:]]+', target_label: ascii, replacement: yes}"],
    ),
    (
        "digits are those of ASCII",
        &["{source_labels: [word], regex: '\\d+', target_label: digits, replacement: yes}"],
    ),
    (
        "words are those of ASCII",
        &["{source_labels: [word], regex: '\\w+', target_label: word_is, replacement: ascii}"],
    ),
    (
        "blanks are those of ASCII",
        &["{source_labels: [word], regex: '.*\\s.*', target_label: blank, replacement: yes}"],
    ),
    (
        "everything but digits",
        &["{source_labels: [word], regex: '[^\\d]+', target_label: digits, replacement: no}"],
    ),
    (
        "a class with a class",
        &["{source_labels: [word], regex: '[\\D-x]+', target_label: digits, replacement: no}"],
    ),
    (
        "a border of words",
        &["{source_labels: [word], regex: '.*\\bA.*', target_label: border, replacement: yes}"],
    ),
    (
        "no border of words",
        &["{source_labels: [word], regex: '.*\\BA.*', target_label: border, replacement: no}"],
    ),
    (
        "without case",
        &["{source_labels: [word], regex: '(?i)ÄPFEL|K', target_label: case, replacement: same}"],
    ),
    (
        "without case in a group",
        &["{source_labels: [word], regex: '(?i:ä)pfel', target_label: case_is, replacement: same}"],
    ),
    (
        "without case in a class",
        &["{source_labels: [word], regex: '(?i)[k-l]|[^\\W]+', target_label: case_is, replacement: same}"],
    ),
    ("lazy", &["{source_labels: [host], regex: '(.*?)[.](.*)', target_label: lazy, replacement: '$1,$2'}"]),
    (
        "greedy by a flag",
        &["{source_labels: [host], regex: '(?U)(.*)[.](.*)', target_label: lazy, replacement: '$1,$2'}"],
    ),
    (
        "counted",
        &[
            "{source_labels: [host], regex: '[a-z]{2,3}[.0-9]{1,}.{0,20}', target_label: counted, replacement: yes}",
        ],
    ),
    (
        "a brace that counts nothing",
        &["{source_labels: [word], regex: '.*{x}.*|a{,2}', target_label: brace, replacement: yes}"],
    ),
    (
        "a class with what others nest",
        &["{source_labels: [word], regex: '[[&&--~~a]+', target_label: odd, replacement: yes}"],
    ),
    (
        "a bracket first in a class",
        &["{source_labels: [word], regex: '[]a]+', target_label: odd, replacement: yes}"],
    ),
    ("quoted", &["{source_labels: [word], regex: '\\Qa.b*\\E', target_label: quoted, replacement: yes}"]),
    (
        "escapes",
        &["{source_labels: [word], regex: '\\x61\\.\\x{62}\\052', target_label: escaped, replacement: yes}"],
    ),
    (
        "escaped for nothing",
        &[
            "{source_labels: [word], regex: 'a\\.b\\*|\\<\\>\\_\\-\\/', target_label: escaped, replacement: yes}",
        ],
    ),
    (
        "a line's end",
        &["{source_labels: [word], regex: '(?m)one$\\n^two', target_label: lines, replacement: yes}"],
    ),
    (
        "the end of a text",
        &["{source_labels: [word], regex: '\\Aone\\ntwo\\z', target_label: lines, replacement: yes}"],
    ),
    (
        "more than it closes",
        &["{source_labels: [env], regex: 'prod)|(?:.*s', target_label: odd, replacement: yes}"],
    ),
    (
        "everything stands between",
        &["{source_labels: [env], regex: '|prod|', target_label: odd, replacement: yes}"],
    ),
];

/// Lists that Prometheus 3 alone reads, or means that by.
pub const NEW: &[(&str, &[&str])] = &[
    (
        "labelmap of two to one, one of them set before",
        &[
            "{target_label: meta_a, replacement: late}",
            "{regex: 'meta_.+', replacement: one, action: labelmap}",
        ],
    ),
    (
        "a point is every character",
        &["{source_labels: [word], regex: 'one.two', target_label: lines, replacement: yes}"],
    ),
    ("all is every character", &["{source_labels: [word], target_label: copy}"]),
    (
        "a point that ends at a line",
        &["{source_labels: [word], regex: '(?-s)one.two', target_label: lines, replacement: yes}"],
    ),
    (
        "a group that is named as in other languages",
        &[
            "{source_labels: [host], regex: '(?<short>[^.]+)\\..*', replacement: '${short}', target_label: short}",
        ],
    ),
    (
        "any name",
        &[
            "{source_labels: [env], target_label: 'größe.in-cm'}",
            "{source_labels: [größe.in-cm], target_label: again}",
        ],
    ),
    ("any name of groups", &["{source_labels: [env], regex: '(.+)', target_label: 'by.$1', replacement: x}"]),
    ("any name for letters", &["{source_labels: [word], target_label: 'a-b', action: lowercase}"]),
    ("any name for a hash", &["{source_labels: [word], modulus: 7, target_label: 'a-b', action: hashmod}"]),
    ("any name by a map", &["{regex: 'meta_(.+)', replacement: 'meta.$1', action: labelmap}"]),
    ("labels with any names", &["{regex: 'dotted.*', action: labeldrop}"]),
    ("from labels with any names", &["{source_labels: [dotted.name], target_label: plain}"]),
];

/// What is scraped: each sample's value is its own. The last one is for Prometheus 3 alone.
pub const PAGE: &str = "\
app_requests_total{env=\"prod\",host=\"web1.example\",stage=\"prod\",meta_a=\"1\",meta_b=\"2\",word=\"Äpfel\"} 1
app_requests_total{env=\"test\",host=\"db1.example\",stage=\"prod\",meta_b=\"2\",word=\"K\"} 2
app_requests_total{env=\"prod\",host=\"db2.example\",word=\"one\\ntwo\"} 3
app_up{env=\"test\",stage=\"test\",word=\"٣\"} 4
app_up{word=\"42\",both=\"a;b\"} 5
app_up{env=\"\",word=\"a.b*\",meta_empty=\"\"} 6
app_up{word=\"x{x}ſ\"} 7
app_up{word=\"a{,2}\"} 8
app_up{word=\"<>_-/\"} 9
app_up{word=\"[&~-a\"} 10
app_up{word=\"]a]\"} 11
app_up{word=\"ΑΣ ŉ ß ﬀ ᾳᾂ İ ǆ ẞ\"} 12
app_up{word=\"wahr Aal\",host=\"web.a.b\",env=\"pass\"} 13
app_up{word=\"a\u{a0}b\u{2003}c\"} 14
other_things{job=\"own\",instance=\"there\",both=\"prod;prod\",env=\"prod\",stage=\"prod\"} 15
bare 16
";

pub const NEW_PAGE: &str = "{\"app.dotted\",\"dotted.name\"=\"1\",env=\"prod\"} 17\n";
