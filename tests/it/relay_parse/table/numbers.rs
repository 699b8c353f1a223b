//! Numbers, which both formats read alike.

use super::{Page, text};

pub const PAGES: &[Page] = &[
    // Numbers.
    text(b"m 0\n", &["m 0"]),
    text(b"m -0\n", &["m -0"]),
    text(b"m +1\n", &["m 1"]),
    text(b"m 00012\n", &["m 12"]),
    text(b"m 1.\n", &["m 1"]),
    text(b"m 1.0\n", &["m 1"]),
    text(b"m .5\n", &["m 0.5"]),
    text(b"m -.5e-3\n", &["m -0.0005"]),
    text(b"m 1e5\n", &["m 100000"]),
    text(b"m 1E5\n", &["m 100000"]),
    text(b"m 1e+05\n", &["m 100000"]),
    text(b"m 1e-400\n", &["m 0"]),
    text(
        b"m 4.9e-324\n",
        &[
            "m 0.000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000005",
        ],
    ),
    text(
        b"m 1.7976931348623157e308\n",
        &[
            "m 179769313486231570000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
        ],
    ),
    text(b"m 123456789012345678901234567890\n", &["m 123456789012345680000000000000"]),
    text(b"m 9007199254740993\n", &["m 9007199254740992"]),
    text(b"m 0.1\n", &["m 0.1"]),
    text(b"m 1e0000000000000000000005\n", &["m 100000"]),
    text(b"m 0e99999999999999999999\n", &["m 0"]),
    text(b"m NaN\n", &["m NaN"]),
    text(b"m nan\n", &["m NaN"]),
    text(b"m NAN\n", &["m NaN"]),
    text(b"m Inf\n", &["m inf"]),
    text(b"m +Inf\n", &["m inf"]),
    text(b"m -Inf\n", &["m -inf"]),
    text(b"m inf\n", &["m inf"]),
    text(b"m iNf\n", &["m inf"]),
    text(b"m infinity\n", &["m inf"]),
    text(b"m -INFINITY\n", &["m -inf"]),
    text(
        b"m +NaN\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"+NaN\""],
    ),
    text(
        b"m -nan\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"-nan\""],
    ),
    text(
        b"m 1e400\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"1e400\""],
    ),
    text(
        b"m -1e400\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"-1e400\""],
    ),
    text(
        b"m .\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \".\""],
    ),
    text(
        b"m +\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"+\""],
    ),
    text(
        b"m -\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"-\""],
    ),
    text(
        b"m 1e\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"1e\""],
    ),
    text(
        b"m 1e+\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"1e+\""],
    ),
    text(
        b"m 0x10\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"0x10\""],
    ),
    text(
        b"m 0x1p4\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"0x1p4\""],
    ),
    text(
        b"m 1_0\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"1_0\""],
    ),
    text(
        b"m ++1\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"++1\""],
    ),
    text(
        b"m 1d\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"1d\""],
    ),
    text(
        b"m 1,5\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"1,5\""],
    ),
    text(
        b"m infinit\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"infinit\""],
    ),
    text(
        b"m infi\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"infi\""],
    ),
    text(
        b"m nano\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"nano\""],
    ),
    text(
        b"m e5\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"e5\""],
    ),
    text(
        b"m 1 e5\n",
        &["! line 1, column 5: expected a time in whole milliseconds or the end of the line, found \"e5\""],
    ),
    text(
        b"m \"1\"\n",
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"\\\"1\\\"\""],
    ),
    text(
        "m ١\n".as_bytes(),
        &["! line 1, column 3: expected a number (decimal below 1.8e308, Inf or NaN), found \"١\""],
    ),
];
