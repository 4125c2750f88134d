"""What a worker process does for planning: decode, measure and set what a request brings.

Only workers import this module: it loads the media libraries.
"""

from __future__ import annotations

from pathlib import Path

from adapters.preparation import PictureFile, PreparationAnswer, PreparationFiles, StillFacts
from adapters.workers import Report
from assembler import encode, fonts, sound, stills
from assembler.captions import plan_captions
from assembler.looks import weight_of
from events.spec import EncoderProfile, Warned
from events.types import Problem

VALUE_SHOWN_MAX = 80
"""Characters of a URI that a problem quotes."""


def prepare(files: PreparationFiles, report: Report) -> PreparationAnswer:
    """Decode every picture and sound, find every glyph, set every caption."""
    problems: list[Problem] = []
    found: list[StillFacts] = []
    total = len(files.pictures) + len(files.sounds) + 2
    for done, picture in enumerate(files.pictures):
        report(done, total)
        facts = _still(picture, files)
        if isinstance(facts, Problem):
            problems.append(facts)
        else:
            found.append(facts)
    logo = _still(files.logo, files) if files.logo else None
    if isinstance(logo, Problem):
        problems.append(logo)
        logo = None
    for field, path in files.sounds:
        problems += _sound(field, path)
    font_set, glyphs = _fonts(files)
    problems += glyphs
    if problems or font_set is None:
        return PreparationAnswer(problems=tuple(problems))
    captions = plan_captions(
        files.texts,
        style=files.style,
        frames=files.frames,
        fps=files.fps,
        fonts=font_set,
        archetype=files.archetype,
    )
    report(total - 1, total)
    encoder = _encoder(files)
    if isinstance(encoder, Problem):
        return PreparationAnswer(problems=(encoder,))
    profile, told = encoder
    return PreparationAnswer(
        stills=tuple(found),
        logo=logo,
        font_files=font_set.files,
        captions=captions.captions,
        encoder=profile,
        warnings=(*told, *captions.warnings, *_borrowed(files)),
    )


def _encoder(
    files: PreparationFiles,
) -> tuple[EncoderProfile, tuple[Warned, ...]] | Problem:
    """The profile of the film, tried out here, and a warning where it is not what was asked."""
    told: tuple[Warned, ...] = ()
    if files.nvenc is not None:
        try:
            return _profile(files.nvenc, files), ()
        except encode.EncodeError as error:
            message = f"a graphics card was to encode and cannot: {error}; x264 encodes instead"
            told = (Warned(code="encoder_downgraded", message=message),)
    try:
        return _profile(files.encoder, files), told
    except encode.EncodeError as error:
        return Problem(
            field="services",
            value=f"{files.encoder.codec} {files.encoder.preset}",
            limit="an encoder setting that this machine has (defaults.encoder)",
            hint=str(error),
        )


def _profile(asked: EncoderProfile, files: PreparationFiles) -> EncoderProfile:
    return encode.default_profile(
        codec=asked.codec,
        preset=asked.preset,
        crf=asked.crf,
        bitrate_max_kbps=asked.bitrate_max_kbps,
        fps=files.fps,
        width=files.width,
        height=files.height,
        more=asked.params,
    )


def _still(picture: PictureFile, files: PreparationFiles) -> StillFacts | Problem:
    limits = stills.StillLimits(
        bytes_max=files.bytes_max,
        edge_px_max=files.edge_px_max,
        pixels_max=files.pixels_max,
        still_edge_px_max=files.still_edge_px_max,
    )
    try:
        still = stills.ingest_still(picture.path, picture.out, mask=picture.mask, limits=limits)
    except stills.StillError as error:
        field = picture.mask_field if error.of_mask else picture.field
        return Problem(
            field=field,
            value=picture.uri[:VALUE_SHOWN_MAX],
            limit=f"at most {error.limit}" if error.limit else "a picture that can be read",
            hint=f"{error.problem}: {error.hint}" if error.hint else error.problem,
        )
    return StillFacts(
        width=still.width,
        height=still.height,
        has_alpha=still.has_alpha,
        subject=still.subject,
        palette=still.palette,
        media_type=still.media_type,
    )


def _sound(field: str, path: Path) -> list[Problem]:
    try:
        sound.prepare_sound(path)
    except sound.SoundError as error:
        limit = error.limit or "a sound that can be read"
        hint = f"{error.problem}: {error.hint}" if error.hint else error.problem
        return [Problem(field=field, value="", limit=limit, hint=hint)]
    return []


def _fonts(files: PreparationFiles) -> tuple[fonts.FontSet | None, list[Problem]]:
    texts = [text for _, text in files.texts]
    try:
        font_set = fonts.resolve_fonts(
            texts,
            files.style.font,
            weight_of(files.style),
            bundled=files.fonts_dir,
            extra=files.font,
        )
    except fonts.FontError as error:
        field = "font_uri" if files.font else "style.font"
        hint = "use a TrueType or OpenType font that has the captions' letters"
        return None, [Problem(field=field, value="", limit=str(error), hint=hint)]
    problems = [_missing(glyph, files) for glyph in font_set.missing]
    return font_set, problems


def _borrowed(files: PreparationFiles) -> tuple[Warned, ...]:
    """Tell which letters a brand's font lacks: they are set in another one."""
    if files.font is None:
        return ()
    family, chars = fonts.lacking(files.font, [text for _, text in files.texts])
    if not chars:
        return ()
    message = f"the font {family} lacks {chars[:VALUE_SHOWN_MAX]}: set in another font"
    return (Warned(code="font_incomplete", message=message),)


def _missing(glyph: fonts.MissingGlyph, files: PreparationFiles) -> Problem:
    fields = [
        field
        for field, (_, text) in zip(files.text_fields, files.texts, strict=True)
        if glyph.char in text
    ]
    hint = (
        f"install a font that has it (Debian: {glyph.package}) on the machine of the services"
        if glyph.package
        else "install a font that has it on the machine of the services, or leave it out"
    )
    return Problem(
        field=fields[0] if fields else "prompt",
        value=f"{glyph.char} (U+{ord(glyph.char):04X})",
        limit=f"characters that an installed font draws; none draws this one ({glyph.script})",
        hint=hint,
    )
