//! Reads the API's query language, percent-encoding included, as strictly as the real API does.
//! In: a query string as it stood in the request line. Out: a [`Query`], or [`Malformed`].
//! Never: decoding first; brackets, colons, commas and slashes of the grammar must not be encoded, and only here
//! can one still see whether they were.

/// The query does not follow the grammar: 400.
#[derive(Debug)]
pub(super) struct Malformed;

/// The options of a request or of one expand.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) select: Option<Vec<String>>,
    pub(super) filter: Option<Expr>,
    pub(super) order: Vec<(Path, Direction)>,
    pub(super) top: Option<usize>,
    pub(super) skip: usize,
    pub(super) expand: Vec<Expand>,
}

/// One entry of `$expand`.
#[derive(Debug)]
pub(super) struct Expand {
    pub(super) name: String,
    /// A number instead of rows.
    pub(super) count: bool,
    pub(super) query: Query,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

/// Names joined by slashes, `$count` possibly the last.
pub(super) type Path = Vec<String>;

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

#[derive(Clone, Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
}

#[derive(Debug)]
pub(super) enum Expr {
    Or(Vec<Self>),
    And(Vec<Self>),
    Not(Box<Self>),
    Compare(Box<Self>, Op, Box<Self>),
    In(Box<Self>, Vec<Literal>),
    Literal(Literal),
    Path(Path),
    Any { path: Path, alias: String, such: Box<Self> },
}

impl Expr {
    /// Whether the filter goes through this navigation anywhere.
    pub(super) fn mentions(&self, name: &str) -> bool {
        match self {
            Self::Or(all) | Self::And(all) => all.iter().any(|one| one.mentions(name)),
            Self::Not(one) | Self::In(one, _) => one.mentions(name),
            Self::Compare(left, _, right) => left.mentions(name) || right.mentions(name),
            Self::Literal(_) => false,
            Self::Path(path) => path.iter().any(|part| part == name),
            Self::Any { path, such, .. } => path.iter().any(|part| part == name) || such.mentions(name),
        }
    }
}

/// Reads a whole query string.
pub(super) fn parse(text: &str) -> Result<Query, Malformed> {
    let mut parser = Parser { left: text.as_bytes() };
    let mut query = Query::default();
    if text.is_empty() {
        return Ok(query);
    }
    loop {
        parser.option(&mut query, true)?;
        if parser.left.is_empty() {
            return Ok(query);
        }
        parser.expect(b"&")?;
    }
}

/// Reads what stands in the brackets behind a resource: `1` or `slug='a/b'`.
pub(super) fn parse_key(text: &str) -> Result<Expr, Malformed> {
    let mut parser = Parser { left: text.as_bytes() };
    let name = if parser.left.first().is_some_and(u8::is_ascii_alphabetic) {
        let name = parser.name()?;
        parser.expect(b"=")?;
        name
    } else {
        "id".to_owned()
    };
    let literal = parser.literal()?.ok_or(Malformed)?;
    if !parser.left.is_empty() {
        return Err(Malformed);
    }
    Ok(Expr::Compare(Box::new(Expr::Path(vec![name])), Op::Eq, Box::new(Expr::Literal(literal))))
}

struct Parser<'a> {
    left: &'a [u8],
}

impl Parser<'_> {
    fn take(&mut self, token: &[u8]) -> bool {
        let rest = self.left.strip_prefix(token);
        if let Some(rest) = rest {
            self.left = rest;
        }
        rest.is_some()
    }

    fn expect(&mut self, token: &[u8]) -> Result<(), Malformed> {
        if self.take(token) { Ok(()) } else { Err(Malformed) }
    }

    /// Spaces, of which an URL knows two spellings; whether there was any.
    fn space(&mut self) -> bool {
        let mut any = false;
        while self.take(b"+") || self.take(b"%20") {
            any = true;
        }
        any
    }

    /// A word with its spaces around it, or nothing consumed.
    fn word(&mut self, word: &str) -> bool {
        let before = self.left;
        if self.space() && self.take(word.as_bytes()) && self.space() {
            return true;
        }
        self.left = before;
        false
    }

    fn name(&mut self) -> Result<String, Malformed> {
        let length =
            self.left.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let (name, rest) = self.left.split_at(length);
        if name.first().is_none_or(u8::is_ascii_digit) {
            return Err(Malformed);
        }
        self.left = rest;
        Ok(String::from_utf8_lossy(name).into_owned())
    }

    fn path(&mut self) -> Result<Path, Malformed> {
        let mut path = vec![self.name()?];
        while self.take(b"/") {
            if self.take(b"$count") {
                path.push("$count".to_owned());
                break;
            }
            path.push(self.name()?);
        }
        Ok(path)
    }

    /// One `$name=value`. The dollar may be encoded only in the outermost options.
    fn option(&mut self, query: &mut Query, outermost: bool) -> Result<(), Malformed> {
        if !(self.take(b"$") || outermost && self.take(b"%24")) {
            if !outermost {
                return Err(Malformed);
            }
            // Options that are not OData's, as `apikey`, are skipped.
            self.name()?;
            self.expect(b"=")?;
            let length = self.left.iter().take_while(|byte| **byte != b'&').count();
            self.left = self.left.split_at(length).1;
            return Ok(());
        }
        let name = self.name()?;
        self.expect(b"=")?;
        match name.as_str() {
            "select" => query.select = Some(self.list(Self::name)?),
            "filter" => query.filter = Some(self.or()?),
            "orderby" => query.order = self.list(Self::order)?,
            "top" => query.top = Some(self.integer()?),
            "skip" => query.skip = self.integer()?,
            "expand" => query.expand = self.list(Self::expand)?,
            // Accepted by the real API, and without effect.
            "count" | "inlinecount" => {
                self.name()?;
            }
            _ => return Err(Malformed),
        }
        Ok(())
    }

    fn list<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let mut all = Vec::new();
        loop {
            self.space();
            all.push(one(self)?);
            self.space();
            if !self.take(b",") {
                return Ok(all);
            }
        }
    }

    fn order(&mut self) -> Result<(Path, Direction), Malformed> {
        let path = self.path()?;
        let before = self.left;
        if self.space() {
            if self.take(b"asc") {
                return Ok((path, Direction::Up));
            }
            if self.take(b"desc") {
                return Ok((path, Direction::Down));
            }
            self.left = before;
        }
        // Against the standard, but so it is.
        Ok((path, Direction::Down))
    }

    fn integer(&mut self) -> Result<usize, Malformed> {
        let length = self.left.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.left.split_at(length);
        self.left = rest;
        std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Malformed)
    }

    fn expand(&mut self) -> Result<Expand, Malformed> {
        let mut expand = Expand { name: self.name()?, count: false, query: Query::default() };
        expand.count = self.take(b"/$count");
        if self.take(b"(") {
            loop {
                self.option(&mut expand.query, false)?;
                if self.take(b")") {
                    break;
                }
                if !(self.take(b";") || self.take(b"&")) {
                    return Err(Malformed);
                }
            }
        }
        Ok(expand)
    }

    fn or(&mut self) -> Result<Expr, Malformed> {
        let mut all = vec![self.and()?];
        while self.word("or") {
            all.push(self.and()?);
        }
        Ok(single(all, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, Malformed> {
        let mut all = vec![self.comparison()?];
        while self.word("and") {
            all.push(self.comparison()?);
        }
        Ok(single(all, Expr::And))
    }

    fn comparison(&mut self) -> Result<Expr, Malformed> {
        self.space();
        let left = self.operand()?;
        for (word, op) in
            [("eq", Op::Eq), ("ne", Op::Ne), ("gt", Op::Gt), ("ge", Op::Ge), ("lt", Op::Lt), ("le", Op::Le)]
        {
            if self.word(word) {
                return Ok(Expr::Compare(Box::new(left), op, Box::new(self.operand()?)));
            }
        }
        if self.word("in") {
            self.expect(b"(")?;
            let all = self.list(|parser| parser.literal()?.ok_or(Malformed))?;
            self.expect(b")")?;
            return Ok(Expr::In(Box::new(left), all));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expr, Malformed> {
        if self.take(b"(") {
            let inner = self.or()?;
            self.space();
            self.expect(b")")?;
            return Ok(inner);
        }
        if let Some(literal) = self.literal()? {
            return Ok(Expr::Literal(literal));
        }
        let before = self.left;
        if self.take(b"not") {
            if self.space() || self.left.first() == Some(&b'(') {
                return Ok(Expr::Not(Box::new(self.operand()?)));
            }
            self.left = before;
        }
        let mut path = self.path()?;
        if path.len() > 1 && path.last().is_some_and(|last| last == "any") && self.take(b"(") {
            path.pop();
            let alias = self.name()?;
            self.expect(b":")?;
            let such = Box::new(self.or()?);
            self.expect(b")")?;
            return Ok(Expr::Any { path, alias, such });
        }
        Ok(Expr::Path(path))
    }

    fn literal(&mut self) -> Result<Option<Literal>, Malformed> {
        if self.take(b"datetime'") || self.take(b"datetime%27") || self.take(b"'") || self.take(b"%27") {
            return self.text().map(|text| Some(Literal::Text(text)));
        }
        if self.left.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-') {
            let length = self
                .left
                .iter()
                .enumerate()
                .take_while(|(at, byte)| {
                    byte.is_ascii_digit() || **byte == b'.' || (*at == 0 && **byte == b'-')
                })
                .count();
            let (digits, rest) = self.left.split_at(length);
            self.left = rest;
            let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            return number.map(|number| Some(Literal::Number(number))).ok_or(Malformed);
        }
        let before = self.left;
        if let Ok(name) = self.name() {
            let literal = match name.as_str() {
                "null" => Some(Literal::Null),
                "true" => Some(Literal::Bool(true)),
                "false" => Some(Literal::Bool(false)),
                _ => None,
            };
            if literal.is_some() {
                return Ok(literal);
            }
        }
        self.left = before;
        Ok(None)
    }

    /// The rest of a string whose first quote is read; everything in it may be encoded.
    fn text(&mut self) -> Result<String, Malformed> {
        let mut bytes = Vec::new();
        loop {
            if self.take(b"'") || self.take(b"%27") {
                if self.take(b"'") || self.take(b"%27") {
                    bytes.push(b'\'');
                    continue;
                }
                return String::from_utf8(bytes).map_err(|_| Malformed);
            }
            let (first, rest) = self.left.split_first().ok_or(Malformed)?;
            self.left = rest;
            match first {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let (digits, rest) = self.left.split_at_checked(2).ok_or(Malformed)?;
                    self.left = rest;
                    let digits = std::str::from_utf8(digits).map_err(|_| Malformed)?;
                    bytes.push(u8::from_str_radix(digits, 16).map_err(|_| Malformed)?);
                }
                other => bytes.push(*other),
            }
        }
    }
}

fn single(mut all: Vec<Expr>, join: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    match (all.len(), all.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            all.push(last);
            join(all)
        }
        (_, None) => join(all),
    }
}
