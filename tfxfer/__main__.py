"""`python -m tfxfer`, for environments whose scripts are not on the PATH."""

from tfxfer.cli.main import main

if __name__ == "__main__":
    main()
