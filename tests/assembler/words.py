"""What the tests of captions share: the presets' styles, hard texts, and films of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assembler.captions import CaptionPlan, plan_captions
from assembler.fonts import FontSet, resolve_fonts
from assembler.looks import weight_of
from events.spec import (
    Archetype,
    Artifact,
    CaptionPosition,
    CaptionRole,
    CaptionSize,
    FontFile,
    Motion,
    RenderSpec,
    Style,
)
from tests.builders import spec

FONTS = Path(__file__).parents[2] / "config" / "fonts"
FPS = 30


def _style(
    motion: str, font: str, size: str, position: str, margin_px: int = 120, *, glow: bool = False
) -> Style:
    return Style(
        motion=Motion(motion),
        product_motion=Motion.SUBTLE,
        font=font,
        caption_size=CaptionSize(size),
        caption_position=CaptionPosition(position),
        margin_px=margin_px,
        glow=glow,
    )


STYLES = {
    "product_hero_clean": _style("subtle", "Inter", "auto", "lower_third"),
    "product_hero_punchy": _style("punchy", "Bebas Neue", "large", "center"),
    "overlay_classic": _style("subtle", "Inter", "auto", "lower_third"),
    "overlay_glow": _style("smooth", "Inter", "auto", "lower_third", glow=True),
    "overlay_bold": _style("punchy", "Montserrat", "large", "upper_third"),
    "meme_fast": _style("chaotic", "Impact", "large", "center"),
    "meme_smooth": _style("smooth", "Arial Black", "large", "center"),
    "brand_safe_minimal": _style("minimal", "Inter", "small", "lower_third", 140),
}

HARD_TEXTS = (
    "Sale",
    "I",
    (
        "A text of two hundred characters, more or less, which no card can hold at a size that "
        "one can read on a telephone: it has to be split into several cards, in turn, ok?"
    ),
    "x" * 200,
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
    "https://example.com/a/very/long/path?with=query&and=more#fragment-that-goes-on",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz heute",
    "Größe, Maße, Spaß: für alle Fälle",
    "Ça va très bien, l'été à Noël !",
    "Zażółć gęślą jaźń",
    "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "Tiếng Việt có nhiều dấu thanh",
    "İstanbul'da ığdır",
    "Ελληνικά με τόνους",
    "Съешь ещё этих мягких французских булок",
    "مرحبا بالعالم",
    "خصم 50% على كل شيء اليوم فقط!",
    "هذا نص طويل جدا يجب أن يقسم على عدة أسطر حتى يقرأه الجميع بسهولة على الهاتف",
    "שלום עולם",
    "שלום, 24/7 פתוח (גם 123-456)",
    "العربية with English in the middle العربية",
    "Buy عربي now (שלום) 50%",
    "हिन्दी में क्षितिज की कहानी",
    "ज़रूर! १२३ नमस्ते दुनिया, कैसे हो?",
    "สวัสดีชาวโลก",
    "กาแฟเย็นอร่อยมากที่สุดในโลกต้องลองสักครั้งในชีวิตแล้วจะติดใจไม่รู้ลืม",
    "Good 👍🏽 great 👍🏿 perfect 👍",
    "🇩🇪🇫🇷🇯🇵🇧🇷🇺🇸🇮🇳",
    "👨‍👩‍👧‍👦 ❤️‍🔥 🏳️‍🌈 3️⃣",
    "🔥" * 60,
    "It's 50% off: \"really\" {pts} %{pts} \\n [ok] 'yes'",
    "One\nTwo\nThree",
    "One\n\n\r\nTwo\tthree\u2028four",
    "Wait... what?! No—way… (ever)",
    "1,234.56 € + £9.99 = ¥0 ≠ $5 © ® ™",
    "gjpqy ÅÉÎÖÛ ẞ",
    "e\u0301a\u0308 combining n\u0303",
    "MiXeD CaSe 4 U & me @ home #1",
    "no\u00a0break\u00a0here but here",
)
CJK_TEXTS = (
    "你好,世界!今天的咖啡真的很好喝。",
    "コーヒーは、毎朝のごほうびです。ぜひお試しください!",
    "한국어도 잘 보입니다. 지금 바로 만나보세요",
    "新品上市 NEW 2026 限时优惠50%,先到先得,数量有限,欢迎选购我们的产品",
)


def fonts_for(
    texts: Sequence[str], style: Style, *, system_dirs: Sequence[Path] | None = ()
) -> FontSet:
    """The fonts of ``texts``, by default from the bundled ones only."""
    return resolve_fonts(
        texts, style.font, weight_of(style), bundled=FONTS, system_dirs=system_dirs
    )


def plan(
    preset: str,
    *texts: tuple[CaptionRole, str],
    seconds: float = 15,
    system_dirs: Sequence[Path] | None = (),
) -> tuple[CaptionPlan, FontSet]:
    """The captions of a film in ``preset``, and their fonts."""
    style = STYLES[preset]
    fonts = fonts_for([text for _, text in texts], style, system_dirs=system_dirs)
    overlay = preset.startswith(("overlay", "brand"))
    planned = plan_captions(
        texts,
        style=style,
        frames=round(seconds * FPS),
        fps=FPS,
        fonts=fonts,
        archetype=Archetype.OVERLAY if overlay else Archetype.MEME_TEXT,
    )
    return planned, fonts


def film(preset: str, planned: CaptionPlan, fonts: FontSet) -> tuple[RenderSpec, dict[str, Path]]:
    """A spec with these captions, and where its artifacts lie."""
    sources = {f"{index:064x}": path for index, (_, path) in enumerate(fonts.files)}
    files = tuple(
        FontFile(family=family, artifact=Artifact(sha256=sha256, bytes=1, media_type="font/ttf"))
        for sha256, (family, _) in zip(sources, fonts.files, strict=True)
    )
    ends = [card.start + card.frames for each in planned.captions for card in each.cards]
    return (
        spec(
            style=STYLES[preset],
            captions=planned.captions,
            fonts=files,
            frames=max(ends, default=FPS),
        ),
        sources,
    )
