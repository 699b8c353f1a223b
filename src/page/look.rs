//! The status page's style: quiet where all is well, dense, readable by night and by day, on a phone and on a wall.

/// As it stands in the page.
pub const STYLE: &str = r#"
:root{color-scheme:light dark;
--ground:#fff;--raised:#f5f7f9;--text:#1b222a;--soft:#57626d;--edge:#d5dbe1;--link:#0b5cad;
--on:#2a7ab0;--off:#d9dfe5;--well:#1d6b43;--ill:#b3261e;--illground:#fdf0ee}
@media (prefers-color-scheme:dark){:root{
--ground:#0e1318;--raised:#161d24;--text:#d8dfe6;--soft:#97a3af;--edge:#2a343e;--link:#7ab8f0;
--on:#58a6d6;--off:#2c3742;--well:#6fc796;--ill:#ff9488;--illground:#2a1716}}
*{box-sizing:border-box}
body{margin:0 auto;padding:.75rem 1.25rem 3rem;max-width:70rem;background:var(--ground);color:var(--text);
font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
h1,h2,p,dl,dd,ul{margin:0;padding:0}
a{color:var(--link);text-underline-offset:.15em}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:2px}
#fleets:focus-visible,#relay:focus-visible{outline-offset:4px}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:.5rem;background:var(--ground);padding:.25rem .5rem;z-index:1}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.note,caption,.slug,small{color:var(--soft)}
bdi,.said{overflow-wrap:anywhere}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 .75rem;padding-bottom:.5rem}
header h1{font-size:1.15rem;letter-spacing:-.01em}
header p{color:var(--soft)}
header nav{margin-left:auto;display:flex;gap:1rem}
header nav a{padding:.15rem 0}
#now{border-top:1px solid var(--edge);padding:.75rem 0;display:grid;grid-template-columns:1fr auto;gap:.5rem 1rem;
align-items:baseline}
.headline{font-size:1.05rem}
.headline b::before,.things b::before{display:inline-block;margin-right:.35em}
.well b{color:var(--well)}.ill b,.stats .ill dd,.dark{color:var(--ill)}.idle b{color:var(--soft)}
.well b::before{content:"●" / ""}.ill b::before{content:"▲" / ""}.idle b::before{content:"○" / ""}
.stats{grid-column:1/-1;display:flex;flex-wrap:wrap;gap:.5rem 2.5rem}
.stats dt{color:var(--soft);font-size:.86rem}
.stats dd{font-size:1.35rem;line-height:1.25;font-variant-numeric:tabular-nums}
.stats small{font-size:.93rem}
.two{display:grid;grid-template-columns:1fr 2fr;gap:0 1.5rem;
border-top:1px solid var(--edge);padding:.75rem 0}
#relay,main>div{border-top:1px solid var(--edge);padding:.75rem 0}
#relay>.note{margin-bottom:.5rem}
h2{font-size:.93rem;font-weight:600;margin-bottom:.4rem}
.things{list-style:none;columns:19rem;column-gap:1.5rem}
.things li{border-left:3px solid var(--edge);padding:.05rem 0 .05rem .75rem;
margin-bottom:.7rem;break-inside:avoid}
.things .ill{border-color:var(--ill);background:var(--illground);padding:.4rem .75rem}
.name bdi:first-child{font-weight:600}
.name b{margin-left:.25rem;white-space:nowrap}
.said::first-letter{text-transform:uppercase}
time{font-variant-numeric:tabular-nums;white-space:nowrap}
form{display:flex;flex-wrap:wrap;gap:.4rem .6rem;align-items:center;margin-bottom:.6rem}
main>section:last-child{border-top:1px solid var(--edge);padding-top:.75rem}
label{color:var(--soft)}
input,select,button{font:inherit;color:inherit;background:var(--raised);border:1px solid var(--soft);
border-radius:4px;padding:.25rem .5rem;min-height:2.1rem}
input{flex:1 1 12rem;max-width:24rem}
table{border-collapse:collapse;width:100%}
caption{text-align:left;padding-bottom:.35rem}
caption strong{color:var(--ill)}
th,td{text-align:left;font-weight:400;padding:.3rem 1rem .3rem 0;border-bottom:1px solid var(--edge);vertical-align:middle}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--soft);white-space:nowrap;position:sticky;top:0;background:var(--ground)}
thead a{color:inherit;text-decoration:none;display:inline-block;padding:.2rem 0}
thead a:hover{text-decoration:underline}
thead i{font-style:normal;font-size:.75em;margin-left:.35em}
thead [aria-sort]{color:var(--text);font-weight:600}
tbody th bdi:first-child{font-weight:600}
tbody tr:hover{background:var(--raised)}
.slug{margin-left:.35rem}
.dark{margin-left:.35rem;white-space:nowrap}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;width:1%}
.of{display:none}
.share{width:13rem;white-space:nowrap}
.share span{display:inline-block;min-width:4.5rem;font-variant-numeric:tabular-nums}
.bar{width:7rem;height:.6rem;margin-right:.6rem;vertical-align:middle}
.all{fill:var(--off)}.on{fill:var(--on)}
.hour{width:12rem;white-space:nowrap}
.line{width:120px;height:24px;vertical-align:middle;background:var(--raised);border-radius:2px}
.line polyline{fill:none;stroke:var(--on);stroke-width:1.5;stroke-linejoin:round;stroke-linecap:round}
.line circle{fill:var(--on)}
.change{margin-left:.6rem;font-variant-numeric:tabular-nums;color:var(--soft)}
.old .on{fill:var(--soft)}.old polyline{stroke:var(--soft)}.old td,.old th{color:var(--soft)}
.empty{padding:1.25rem 0}
.pager{display:flex;gap:1rem;padding:.75rem 0}
#lost{position:sticky;bottom:0;background:var(--illground);color:var(--ill);border:1px solid var(--ill);
padding:.5rem .75rem;border-radius:4px}
#lost:empty{display:none}
@media (max-width:44rem){
body{padding:.5rem .75rem 2rem}
#now,.two{grid-template-columns:1fr}
.devices{display:none}.of{display:inline;color:var(--soft)}
.stats{display:grid;grid-template-columns:auto auto;justify-content:start;gap:.3rem 2rem}.stats dd{font-size:1.15rem}
th,td{padding-right:.6rem}
.slug{display:block;margin-left:0}
.share{width:4.2rem;white-space:normal}.share span{min-width:0}.bar{display:block;width:4rem;margin:0 0 .15rem}
.hour{width:5rem;white-space:normal}.line{display:block;width:80px;height:20px}.change{margin-left:0}
thead .share a,thead .hour a{white-space:normal}
input{flex-basis:100%;max-width:none}
label[for=q]{flex-basis:100%}}
@media (forced-colors:active){.on,.line circle{fill:CanvasText}.all{fill:GrayText}.line polyline{stroke:CanvasText}}
@media (prefers-reduced-motion:reduce){*{animation:none;transition:none;scroll-behavior:auto}}
@media print{form,header nav,.pager,.skip{display:none}}
"#;
