"""Write the scripts that the page of a chart has: Vega, Vega-Lite and Vega-Embed, as vl-convert bundles them.

    python tests/support/vega.py

Bundling takes seconds of a JavaScript engine, so it is not left to each chart. Run this for newer libraries.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import vl_convert

from weekly_cli.files import charts

PATH = Path(charts.__file__).with_name(charts.SCRIPTS)
#: What the script of the page uses.
_NAMES = "window.vegaEmbed = vegaEmbed; window.lodashDebounce = lodashDebounce;"
_NOTICE = """\
/*
Vega {vega}, Vega-Lite and Vega-Embed {embed}, bundled by vl-convert {vl_convert}.

Vega, Vega-Lite, Vega-Embed, Vega-Themes, Vega-Tooltip and Vega-Interpreter:
Copyright (c) 2015-2025, University of Washington Interactive Data Lab. BSD-3-Clause:
Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
following conditions are met: 1. Redistributions of source code must retain the above copyright notice, this list of
conditions and the following disclaimer. 2. Redistributions in binary form must reproduce the above copyright notice,
this list of conditions and the following disclaimer in the documentation and/or other materials provided with the
distribution. 3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or
promote products derived from this software without specific prior written permission.
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF
THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.

D3: Copyright 2010-2023 Mike Bostock. Delaunator: Copyright (c) 2021 Mapbox. TopoJSON client: Copyright 2012-2019
Michael Bostock. semver: Copyright (c) Isaac Z. Schlueter and Contributors. ISC:
Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies. THE SOFTWARE IS PROVIDED "AS
IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL
DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT,
NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.

Lodash: Copyright OpenJS Foundation and other contributors. fast-json-patch: Copyright (c) 2013, 2014, 2020 Joachim
Wester. json-stringify-pretty-compact: Copyright (c) 2014-2024 Simon Lydell. robust-predicates: public domain. MIT:
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice and
this permission notice shall be included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED
"AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT
HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
*/
"""


def notice() -> str:
    """Return what the installed libraries are, and their licences."""
    versions = {"vega": vl_convert.get_vega_version(), "embed": vl_convert.get_vega_embed_version()}
    return _NOTICE.format(**versions, vl_convert=vl_convert.__version__)


def bundled() -> str:
    """Return the scripts as vl-convert bundles them; none of their names but two are the page's."""
    return f"{notice()}(() => {{\n{vl_convert.javascript_bundle(_NAMES)}\n}})();\n"


if __name__ == "__main__":
    PATH.write_bytes(gzip.compress(bundled().encode(), mtime=0))
