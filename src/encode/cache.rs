//! Layouts that were met before, each with the requests that were made of it, bounded in bytes.
//!
//! Layouts come round: each tick of a source brings the same ones. Where they do not all fit, replacing the
//! oldest would throw each away just before it comes again. So a layout is let in only in place of those that
//! were last met before it was itself.

use std::collections::HashMap;
use std::sync::Arc;

use super::outgoing::Plan;
use super::record::{Layout, LayoutBytes, hash};
use super::template::{Draft, Kind, Template};

/// So many layouts are remembered by their hashes, whether they are kept or not.
const REMEMBERED: usize = 4_096;

#[derive(Debug)]
pub(super) struct Cache {
    known: HashMap<u64, Met>,
    /// The hash of each layout that is kept, by where its bytes stand in memory: the queue has mostly the very same
    /// ones again.
    by_place: HashMap<usize, u64>,
    /// Counts the layouts that were met.
    clock: u64,
    bytes: usize,
    /// How many of these are templates'.
    templates: usize,
    limit: usize,
}

/// Whose a layout's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// They are here alone.
    Own,
    /// The queue holds them too, and they cost nothing here.
    Queue,
}

/// When a layout was met.
#[derive(Debug, Default)]
struct Met {
    last: u64,
    /// The time before that; 0: never.
    before: u64,
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    layout: Arc<Layout>,
    whose: Whose,
    /// No two of them have a series in common.
    templates: Vec<(Template, usize)>,
    /// What becomes of its series when they are relabelled.
    plan: Option<Arc<Plan>>,
    bytes: usize,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Cache {
        Cache { known: HashMap::new(), by_place: HashMap::new(), clock: 0, bytes: 0, templates: 0, limit }
    }

    /// The layout with these bytes, where it is kept.
    pub(super) fn layout(&mut self, bytes: &LayoutBytes<'_>) -> Option<Arc<Layout>> {
        self.clock += 1;
        let very = bytes.place().and_then(|place| self.by_place.get(&place)).copied();
        let met = self.known.entry(very.unwrap_or_else(|| hash(bytes.as_slice()))).or_default();
        (met.before, met.last) = (met.last, self.clock);
        let kept = met.kept.as_ref()?;
        let same = very.is_some() || kept.layout.bytes() == bytes.as_slice();
        same.then(|| kept.layout.clone())
    }

    /// Keeps a layout that was just met, where there is room for it.
    pub(super) fn admit(&mut self, layout: Arc<Layout>, whose: Whose) {
        self.forget();
        let hash = layout.hash();
        let bytes = layout.size() + if whose == Whose::Own { layout.bytes().len() } else { 0 };
        let Some(before) = self.known.get(&hash).map(|met| met.before) else { return };
        // Another one of the same hash makes room.
        self.drop_kept(hash);
        if self.make_room(bytes, before)
            && let Some(met) = self.known.get_mut(&hash)
        {
            self.by_place.insert(layout.place(), hash);
            met.kept = Some(Kept { layout, whose, templates: Vec::new(), plan: None, bytes });
            self.bytes += bytes;
        }
    }

    fn drop_kept(&mut self, hash: u64) {
        let Some(kept) = self.known.get_mut(&hash).and_then(|met| met.kept.take()) else { return };
        self.by_place.remove(&kept.layout.place());
        self.bytes -= kept.bytes;
        self.templates -= kept.templates.iter().map(|(_, bytes)| *bytes).sum::<usize>();
    }

    /// The request of this kind that was made of a layout.
    pub(super) fn template(&mut self, layout: &Arc<Layout>, kind: &Kind) -> Option<&mut Template> {
        let kept = self.kept(layout)?;
        kept.templates.iter_mut().map(|(template, _)| template).find(|template| template.kind == *kind)
    }

    /// Keeps a request, which takes so many bytes compressed, in place of others that have series in common with it,
    /// where there is room.
    pub(super) fn keep(&mut self, layout: &Arc<Layout>, kind: Kind, draft: &Draft, packed: usize) {
        let Some(kept) = self.kept(layout) else { return };
        let mut freed = 0;
        kept.templates.retain(|(template, bytes)| {
            let (one, other) = (&template.kind.range, &kind.range);
            let apart = one.end <= other.start || other.end <= one.start;
            freed += if apart { 0 } else { *bytes };
            apart
        });
        kept.bytes -= freed;
        self.bytes -= freed;
        self.templates -= freed;
        let before = self.known.get(&layout.hash()).map_or(0, |met| met.before);
        let bytes = Template::size(draft, packed);
        // A layout alone saves less than half of the work, but takes a tenth of the memory.
        let room_for_layouts = self.limit / 4;
        if self.make_room(bytes + room_for_layouts.saturating_sub(self.bytes - self.templates), before)
            && let Some(template) = Template::of(kind, draft, packed)
            && let Some(kept) = self.kept(layout)
        {
            kept.templates.push((template, bytes));
            kept.bytes += bytes;
            self.bytes += bytes;
            self.templates += bytes;
        }
    }

    /// What becomes of a layout's series.
    pub(super) fn plan(&mut self, layout: &Arc<Layout>) -> Option<Arc<Plan>> {
        self.kept(layout)?.plan.clone()
    }

    /// Keeps what becomes of a layout's series, where there is room.
    pub(super) fn keep_plan(&mut self, layout: &Arc<Layout>, plan: &Arc<Plan>) {
        let Some(kept) = self.kept(layout) else { return };
        let freed = kept.plan.take().map_or(0, |plan| plan.size());
        kept.bytes -= freed;
        self.bytes -= freed;
        let before = self.known.get(&layout.hash()).map_or(0, |met| met.before);
        if self.make_room(plan.size(), before)
            && let Some(kept) = self.kept(layout)
        {
            kept.plan = Some(plan.clone());
            kept.bytes += plan.size();
            self.bytes += plan.size();
        }
    }

    fn kept(&mut self, layout: &Arc<Layout>) -> Option<&mut Kept> {
        let kept = self.known.get_mut(&layout.hash())?.kept.as_mut()?;
        let same = Arc::ptr_eq(&kept.layout, layout) || kept.layout.bytes() == layout.bytes();
        same.then_some(kept)
    }

    /// Whether so many bytes fit, if need be in place of what was last met before `before`.
    fn make_room(&mut self, bytes: usize, before: u64) -> bool {
        if self.bytes + bytes > self.limit {
            self.let_go();
        }
        let Some(mut missing) = (self.bytes + bytes).checked_sub(self.limit) else { return true };
        let mut older: Vec<(u64, u64, usize)> = Vec::new();
        for (hash, met) in self.known.iter().filter(|(_, met)| met.last < before) {
            older.extend(met.kept.as_ref().map(|kept| (met.last, *hash, kept.bytes)));
        }
        older.sort_unstable();
        let mut gone = Vec::new();
        for (_, hash, bytes) in older {
            if missing == 0 {
                break;
            }
            missing = missing.saturating_sub(bytes);
            gone.push((hash, bytes));
        }
        if missing > 0 {
            return false;
        }
        for (hash, _) in gone {
            self.drop_kept(hash);
            self.known.remove(&hash);
        }
        true
    }

    /// Layouts whose bytes the queue holds no longer do not come again.
    fn let_go(&mut self) {
        let is_gone = |kept: &Kept| kept.whose == Whose::Queue && kept.layout.is_alone();
        let gone: Vec<u64> = (self.known.iter())
            .filter(|(_, met)| met.kept.as_ref().is_some_and(is_gone))
            .map(|(hash, _)| *hash)
            .collect();
        gone.into_iter().for_each(|hash| self.drop_kept(hash));
    }

    /// Bounds what is remembered of layouts that are not kept.
    fn forget(&mut self) {
        if self.known.len() > REMEMBERED {
            let recent = self.clock.saturating_sub(REMEMBERED as u64 / 2);
            self.known.retain(|_, met| met.kept.is_some() || met.last > recent);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::encode::Exemplars;
    use crate::encode::record::{Flat, Identity, cut};
    use crate::sample::{
        Batch, Family, Kind as Type, Labels, MetricName, Millis, Role, Scope, Series, Source, Value,
    };

    /// Less than three times a layout, so that three layouts take more than what is left for them.
    const REQUEST: usize = 200;

    fn layout(name: &str) -> Arc<Layout> {
        let family = Family {
            name: MetricName::new(name).unwrap(),
            kind: Type::Gauge,
            help: "x".into(),
            role: Role::Fleet,
            series: vec![Series { labels: Labels::default(), value: Value::from(1.0), own: None }],
            of: None,
            unit: "".into(),
        };
        let batch = Batch::new(Source::Own, Millis(1), Scope::Whole, vec![family]).unwrap();
        let identity = Identity { job: "balena".into(), instance: "x".into() };
        let [record] = &cut(&batch, &[], &identity, 10)[..] else { panic!("one record") };
        Flat::read(record.bytes()).unwrap().layout().clone()
    }

    fn kind(range: std::ops::Range<usize>) -> Kind {
        Kind { is_two: false, exemplars: Exemplars::With, range }
    }

    fn draft() -> Draft {
        Draft { plain: vec![0; REQUEST], ..Draft::default() }
    }

    /// Meets a layout as the encoder does; whether its request was there.
    fn meet(cache: &mut Cache, layout: &Arc<Layout>) -> bool {
        if cache.layout(&LayoutBytes::Within(layout.bytes())).is_none() {
            cache.admit(layout.clone(), Whose::Own);
        }
        let known = cache.template(layout, &kind(0..1)).is_some();
        if !known {
            cache.keep(layout, kind(0..1), &draft(), 0);
        }
        assert!(cache.bytes <= cache.limit);
        let kept = cache.known.values().filter_map(|met| met.kept.as_ref());
        assert_eq!(kept.clone().map(|kept| kept.bytes).sum::<usize>(), cache.bytes);
        let templates = kept.clone().flat_map(|kept| &kept.templates).map(|(_, bytes)| *bytes);
        assert_eq!(templates.sum::<usize>(), cache.templates);
        let places: BTreeSet<usize> = kept.map(|kept| kept.layout.place()).collect();
        assert_eq!(places, cache.by_place.keys().copied().collect());
        known
    }

    /// Room for three layouts, each with its request.
    fn cache() -> Cache {
        let layout = layout("a");
        Cache::new(3 * (layout.size() + layout.bytes().len() + Template::size(&draft(), 0)))
    }

    #[test]
    fn of_layouts_that_come_round_and_do_not_all_fit_those_that_fit_are_kept() {
        let all: Vec<_> = ["a", "b", "c", "d", "e"].map(layout).into();
        let mut cache = cache();
        for round in 0..5 {
            let known: Vec<bool> = all.iter().map(|layout| meet(&mut cache, layout)).collect();
            let expected = [true, true, true, false, false].map(|kept| kept && round > 0);
            assert_eq!(known, expected, "round {round}");
        }
    }

    #[test]
    fn layouts_that_no_longer_come_make_room_for_those_that_do() {
        let mut cache = cache();
        for name in ["a", "b", "c", "a", "b", "c"] {
            meet(&mut cache, &layout(name));
        }
        let new: Vec<_> = ["d", "e", "f"].map(layout).into();
        for round in 0..4 {
            let known: Vec<bool> = new.iter().map(|layout| meet(&mut cache, layout)).collect();
            assert_eq!(known, [round > 1; 3], "round {round}");
        }
    }

    #[test]
    fn a_request_takes_the_place_of_those_with_series_in_common() {
        let (mut cache, layout) = (cache(), layout("a"));
        meet(&mut cache, &layout);
        cache.keep(&layout, kind(1..3), &draft(), 0);
        for (range, kept) in [(0..1, true), (1..3, true)] {
            assert_eq!(cache.template(&layout, &kind(range)).is_some(), kept);
        }
        cache.keep(&layout, Kind { is_two: true, ..kind(0..2) }, &draft(), 0);
        for range in [0..1, 1..3, 0..2] {
            assert!(cache.template(&layout, &kind(range)).is_none());
        }
        assert!(cache.template(&layout, &Kind { is_two: true, ..kind(0..2) }).is_some());
    }

    #[test]
    fn layouts_whose_bytes_the_queue_holds_cost_less_and_go_with_them() {
        let held: Vec<Arc<[u8]>> = ["a", "b"].map(|name| layout(name).bytes().into()).into();
        let read = |bytes: &Arc<[u8]>| Arc::new(Layout::read(bytes.clone()).unwrap());
        let lists = read(&held[0]).size();
        let mut cache = Cache::new(2 * lists);
        for bytes in &held {
            assert!(cache.layout(&LayoutBytes::Apart(bytes)).is_none());
            cache.admit(read(bytes), Whose::Queue);
        }
        assert_eq!(cache.bytes, 2 * lists);
        for bytes in &held {
            let known = cache.layout(&LayoutBytes::Apart(bytes)).unwrap();
            assert_eq!(known.place(), bytes.as_ptr() as usize);
            // The same bytes at another place are found by their hash.
            assert!(cache.layout(&LayoutBytes::Apart(&bytes[..].into())).is_some());
        }
        drop(held);
        let next: Arc<[u8]> = layout("c").bytes().into();
        assert!(cache.layout(&LayoutBytes::Apart(&next)).is_none());
        cache.admit(read(&next), Whose::Queue);
        assert_eq!((cache.bytes, cache.by_place.len()), (lists, 1));
    }

    #[test]
    fn requests_leave_room_for_layouts() {
        let layouts: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(layout).into();
        let all: usize = layouts.iter().map(|layout| layout.size() + layout.bytes().len()).sum();
        let mut cache = Cache::new(4 * all);
        for layout in &layouts {
            assert!(cache.layout(&LayoutBytes::Within(layout.bytes())).is_none());
            cache.admit(layout.clone(), Whose::Own);
            cache.keep(layout, kind(0..1), &Draft { plain: vec![0; all], ..Draft::default() }, 0);
        }
        assert!((2 * all..3 * all).contains(&cache.templates));
        let found =
            |cache: &mut Cache, layout: &Layout| cache.layout(&LayoutBytes::Within(layout.bytes())).is_some();
        assert!(layouts.iter().all(|layout| found(&mut cache, layout)));
    }

    #[test]
    fn what_is_remembered_of_layouts_is_bounded() {
        let mut cache = Cache::new(0);
        let layout = layout("a");
        for number in 0..3 * REMEMBERED as u64 {
            assert!(cache.layout(&LayoutBytes::Within(&number.to_le_bytes())).is_none());
            cache.admit(layout.clone(), Whose::Own);
        }
        assert!(cache.known.len() <= REMEMBERED + 1);
    }
}
