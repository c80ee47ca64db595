"""Draw docs/step.svg, the picture of one KID step in README.md: `python docs/draw_step.py`."""

from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 330
INK, QUIET, STUDENT, TEACHER, WRONG = "#1f2933", "#52606d", "#d9eafd", "#e3f4e1", "#c0392b"
GOLD = "SELECT name FROM singer WHERE age > 30"
# The masked tokens of GOLD -> what the student predicts there; a right prediction leaves the gold token.
PREDICTED = {"singer": "concert", "age": "age"}


def text(x: float, y: float, words: str, size: int = 14, color: str = INK, weight: str = "normal") -> str:
    """A line of text that begins at x, on the baseline y."""
    style = f'font-family="Helvetica, Arial, sans-serif" font-size="{size}" fill="{color}" font-weight="{weight}"'
    return f'<text x="{x}" y="{y}" {style}>{escape(words)}</text>'


def tokens(x: float, y: float, words: list[tuple[str, str]]) -> str:
    """SQL in a fixed-width font; each word with its colour."""
    spans = " ".join(f'<tspan fill="{color}">{escape(word)}</tspan>' for word, color in words)
    return f'<text x="{x}" y="{y}" font-family="Menlo, Consolas, monospace" font-size="12.5">{spans}</text>'


def box(x: float, y: float, width: float, height: float, color: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{color}" stroke="{QUIET}"/>'


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1} {y1} L{x2} {y2}" stroke="{INK}" stroke-width="1.5" fill="none" marker-end="url(#head)"/>'


def imperfect_words(masked: bool) -> list[tuple[str, str]]:
    """GOLD with the masked tokens as [MASK], or with the student's predictions in their place."""
    words = []
    for word in GOLD.split():
        shown = ("[MASK]" if masked else PREDICTED[word]) if word in PREDICTED else word
        words.append((shown, WRONG if shown != word else INK))
    return words


def draw() -> str:
    """The picture as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>One KID step: gold SQL is masked, the student fills it in, teacher and student read the result</title>",
        f'<defs><marker id="head" markerWidth="9" markerHeight="9" refX="8" refY="4" orient="auto">'
        f'<path d="M0 0 L9 4 L0 8 z" fill="{INK}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        text(20, 34, "1  Mask a fifth of the gold SQL", weight="bold"),
        tokens(20, 60, [(word, INK) for word in GOLD.split()]),
        tokens(20, 82, imperfect_words(masked=True)),
        text(20, 106, "after the prompt: schema and question", 12, QUIET),
        arrow(400, 70, 440, 70),
        box(450, 20, 490, 92, STUDENT),
        text(466, 44, "2  The student fills all masks in one forward pass", weight="bold"),
        tokens(466, 70, imperfect_words(masked=False)),
        text(466, 96, "its own mistakes, written into the gold SQL: imperfect data", 12, QUIET),
        arrow(560, 114, 250, 148),
        arrow(700, 114, 700, 148),
        box(20, 154, 450, 66, TEACHER),
        text(36, 180, "3  The frozen teacher reads the imperfect SQL", weight="bold"),
        text(36, 204, "the schema's keys and values come from a prefix store", 12, QUIET),
        box(490, 154, 450, 66, STUDENT),
        text(506, 180, "4  The LoRA student reads it too", weight="bold"),
        text(506, 204, "the schema runs once for all questions of a micro-batch", 12, QUIET),
        arrow(250, 222, 380, 254),
        arrow(700, 222, 580, 254),
        box(190, 260, 580, 56, "#fdf3d8"),
        text(206, 284, "5  Loss = reverse KL(student, teacher) + likelihood of the gold token", weight="bold"),
        text(206, 306, "a fused head computes both from hidden states, a chunk of tokens at a time", 12, QUIET),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("step.svg").write_text(draw(), encoding="utf-8")
