"""Draw a URL for the camera of a headset or a phone: the part of the page that says where else it can be opened."""

from html import escape


def elsewhere(url: str) -> str:
    """HTML with the QR code of `url` and the URL itself, for the page to show; it brings no script and no style."""
    import segno

    code = segno.make(url, error="m", micro=False)
    drawn = code.svg_inline(
        scale=5, border=4, dark="#000", light="#fff", svgclass="qr", omitsize=False
    )
    return (
        '<details id="elsewhere"><summary>Open on another device</summary>'
        f"<figure>{drawn}<figcaption>{escape(url)}</figcaption></figure></details>"
    )
