"""One page of HTML with everything inside it, no script and no network: lines of Markdown, tables and pictures, made safe."""

import base64
import html
import re

from helpers import lessons

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
main {{ max-width: 68rem; margin: 0 auto; padding: 1rem }}
.wide {{ overflow-x: auto; margin: 1rem 0 }}
table {{ border-collapse: collapse; font-size: 0.9rem }}
caption {{ text-align: left; font-weight: bold; padding: 0.3rem 0 }}
th, td {{ text-align: left; vertical-align: top; padding: 0.3rem 0.6rem; border-bottom: 1px solid #8888 }}
tbody th {{ font-weight: normal; min-width: 9rem }}
figure {{ margin: 1.5rem 0; max-width: 46rem }}
img {{ max-width: 100%; height: auto; background: white }}
@media print {{
  :root {{ color-scheme: light; font-size: 10pt }}
  main {{ max-width: none; padding: 0 }}
  .wide {{ overflow: visible }}
  table {{ font-size: 8pt }}
  th, td {{ padding: 0.2rem 0.3rem }}
  tr, figure {{ break-inside: avoid }}
  h2, h3, caption {{ break-after: avoid }}
}}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{parts}
</main>
</body>
</html>
"""


def page(title, parts):
    """The whole page. parts: the HTML of what follows its heading, in order."""
    return PAGE.format(title=html.escape(title), parts="\n".join(parts))


def inline(text, links):
    """A line of Markdown as HTML: strong, emphasis, code, and links to https addresses and to the notebooks in `links`. Anything else is text, and escaped.

    links: file name of a notebook → address.
    """
    said = html.escape(html.unescape(str(text).replace(lessons.DOLLAR, "$")))  # what tables.rows escaped already is not escaped twice
    for mark, tag in ((r"\*\*", "strong"), (r"\*", "em"), ("`", "code")):
        said = re.sub(rf"(?<![\w\\]){mark}(?=\S)([^*`<>]+)(?<=\S){mark}(?!\w)", rf"<{tag}>\1</{tag}>", said)

    def link(found):
        to = found[2] if found[2].startswith("https://") else links.get(found[2].partition("#")[0].rpartition("/")[2])
        return f'<a href="{to}">{found[1]}</a>' if to else found[1]

    return re.sub(r"\\([\\|\[*`])", r"\1", re.sub(r"(?<!\\)\[([^\[\]<>]+)\]\(([^()\s<>]+)\)", link, said))


def table(caption, columns, rows, links):
    """Rows of Markdown as a table whose first column names the rows."""
    cells = lambda row: (inline(cell, links) for cell in row)
    head = "".join(f'<th scope="col">{cell}</th>' for cell in cells(columns))
    body = "\n".join(f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in more) + "</tr>" for first, *more in map(cells, rows))
    caption = html.escape(caption)
    return (f'<div class="wide" role="region" aria-label="{caption}" tabindex="0"><table>\n<caption>{caption}</caption>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>")


def figure(kind, data, alt, caption):
    """A picture inside the page. kind: "image/png" (data in base64) or "image/svg+xml" (data as text); alt: plain text; caption: HTML."""
    encoded = "".join(data.split()) if kind == "image/png" else base64.b64encode(data.encode()).decode()
    return f'<figure><img src="data:{kind};base64,{html.escape(encoded)}" alt="{html.escape(alt)}">\n<figcaption>{caption}</figcaption></figure>'
