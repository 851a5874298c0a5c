"""Let `python -m vivavoce` do what `vivavoce` does."""

from vivavoce.cli import main

if __name__ == "__main__":
    main()
