"""The part of Colab's own package that the workshop meets."""

from google.colab import drive as drive
