"""Draw the server's URL as a QR code for headsets and phones."""

from html import escape


def qr_panel(url: str) -> str:
    """Return HTML with the QR code of `url` and the URL, without script or style."""
    import segno

    code = segno.make(url, error="m", micro=False)
    style = {"dark": "#000", "light": "#fff", "svgclass": "qr"}
    drawn = code.svg_inline(scale=5, border=4, omitsize=False, **style)
    return (
        '<details id="elsewhere"><summary>Open on another device</summary>'
        f"<figure>{drawn}<figcaption>{escape(url)}</figcaption></figure></details>"
    )
