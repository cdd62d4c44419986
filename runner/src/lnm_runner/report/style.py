"""The style sheet of the report: two columns where there is room, cards in the place of tables where there is none, and paper."""

from __future__ import annotations

from lnm_runner.report import palette

BODY = """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 20px}
header{padding-top:28px}
footer{padding-bottom:40px;color:var(--soft);font-size:14px}
h1{font-size:26px;line-height:1.25;margin:0 0 16px}
h2{font-size:19px;margin:36px 0 8px;padding-top:12px;border-top:1px solid var(--rule)}
h3{font-size:15px;margin:0 0 8px}
p{margin:0 0 12px;overflow-wrap:anywhere}
.lead{color:var(--soft)}
.verdict{border-left:6px solid;border-radius:4px;padding:14px 18px;margin:0 0 8px}
.verdict strong{display:block;font-size:24px;line-height:1.3}
.verdict p{margin:4px 0 0;color:var(--ink)}
.go{color:var(--go);background:var(--go-back);border-color:var(--go)}
.condition{color:var(--condition);background:var(--condition-back);border-color:var(--condition)}
.no-go{color:var(--no-go);background:var(--no-go-back);border-color:var(--no-go)}
.mark{display:inline-block;border-radius:4px;padding:1px 8px;font-size:14px;font-weight:600}
.plain-mark{color:var(--ink);background:var(--panel)}
table{border-collapse:collapse;width:100%;font-size:15px}
th{text-align:left;color:var(--soft);font-size:13px;font-weight:600;padding:6px 14px 6px 0;border-bottom:1px solid var(--rule)}
td{vertical-align:top;padding:8px 14px 8px 0;border-bottom:1px solid var(--rule);overflow-wrap:anywhere}
td:last-child,th:last-child{padding-right:0}
td:first-child{font-weight:600}
.wide td:first-child{white-space:nowrap}
td.short,th.short{white-space:nowrap}
.narrow{max-width:640px}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:minmax(0,1fr);gap:20px}
figure{margin:0;background:var(--panel);border-radius:6px;padding:14px 16px}
figcaption{color:var(--soft);font-size:14px;margin-top:8px}
svg{display:block;width:100%;height:auto;max-width:760px;margin:0 auto}
text{fill:var(--soft);font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.tick,.unit{text-anchor:middle}
.value,.stage,.limit-words{text-anchor:end}
.stage{fill:var(--ink)}
.limit-words{fill:var(--limit);font-weight:600}
.axis{stroke:var(--hatch)}
.grid{stroke:var(--rule);stroke-width:.6}
.line{fill:none;stroke:var(--line);stroke-width:1.8;stroke-linejoin:round}
.dot{fill:var(--line)}
.band{fill:var(--band)}
.limit{stroke:var(--limit);stroke-width:1.4;stroke-dasharray:6 4}
.hatch-line{stroke:var(--hatch);stroke-width:2.4}
.open{stroke:var(--hatch)}
.fill-go{fill:var(--go);background:var(--go)}
.fill-no-go{fill:var(--no-go);background:var(--no-go)}
.fill-condition{fill:var(--condition);background:var(--condition)}
.fill-line{fill:var(--line);background:var(--line)}
.fill-soft{fill:var(--soft);background:var(--soft)}
.legend{margin:8px 0 0;font-size:14px;color:var(--soft)}
.legend span{margin-right:14px;white-space:nowrap}
.key{display:inline-block;width:12px;height:12px;border-radius:2px;margin-right:6px;vertical-align:-1px}
i.open{border:1px solid var(--hatch);background:repeating-linear-gradient(45deg,var(--hatch) 0 2px,transparent 2px 5px)}
ul{margin:0 0 12px;padding-left:20px}
li{margin-bottom:4px}
@media (min-width:960px){.charts{grid-template-columns:repeat(2,minmax(0,1fr))}}
@media (max-width:700px){
main,header,footer{padding-left:14px;padding-right:14px}
table,tbody,tr,td{display:block}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tr{border-bottom:1px solid var(--rule);padding:8px 0}
td{border:0;padding:2px 0;text-align:left;white-space:normal}
td.short,td.number,.wide td:first-child{white-space:normal;text-align:left}
text{font-size:15px}
td[data-label]::before{content:attr(data-label) ": ";color:var(--soft);font-size:13px;font-weight:400}
td:empty{display:none}
figure{padding:12px 8px}
}
@media print{
body{font-size:12px}
main,header,footer{max-width:none;padding:0}
h2{break-after:avoid}
tr,figure{break-inside:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""


def sheet() -> str:
    """All of it, in one line a rule."""
    return palette.variables() + BODY
