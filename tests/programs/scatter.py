"""The field scattered by a 2-D obstacle under an incident plane wave.

A sound-soft (or perfectly conducting, TM) cylinder with a kite-shaped cross-section is lit by the
plane wave u_inc = exp(i k d.x). By Green's representation the total field outside it is

    u(x) = u_inc(x) - integral over the contour of  G(x, y) du/dn(y) ds(y),
    G(x, y) = i/4 H0(k |x - y|),

where H0 is the Hankel function of the first kind and order zero, and n the outward normal. In the
physical-optics (Kirchhoff) approximation, good when the obstacle is many wavelengths wide, du/dn is
twice that of the incident wave where the surface is lit (d.n < 0) and zero in its shadow; waves
reflected from one part of the contour to another are left out. The contour is cut into nc straight
segments with one quadrature point in the middle of each.

Everything is computed point by point and segment by segment in plain Python, which is slow: this is
a program to be profiled, not to be imitated. The checksum is there to check that a faster version
still computes the same field.

    python scatter.py -nx 40 -ny 40 -nc 400 -checksum
"""

import argparse
import cmath
import math

import numpy
from scipy.special import hankel1

WAVENUMBER = 12.0
DIRECTION = (math.cos(math.pi / 6), math.sin(math.pi / 6))
HALF_WIDTH = 4.0


def contour(nc):
    """The kite as nc segments: arrays of midpoints (x, y), outward normals (nx, ny) and lengths."""
    t = 2.0 * numpy.pi * numpy.arange(nc + 1) / nc
    x = numpy.cos(t) + 0.65 * numpy.cos(2.0 * t) - 0.65
    y = 1.5 * numpy.sin(t)
    dx, dy = numpy.diff(x), numpy.diff(y)
    length = numpy.hypot(dx, dy)
    # The contour runs anticlockwise, so its outward side is to the right of each segment.
    return (x[:-1] + x[1:]) / 2, (y[:-1] + y[1:]) / 2, dy / length, -dx / length, length


def incident(x, y):
    """The plane wave at (x, y)."""
    return cmath.exp(1j * WAVENUMBER * (DIRECTION[0] * x + DIRECTION[1] * y))


def surface_sources(segments):
    """du/dn times the segment's length, for each segment: physical optics."""
    sources = []
    for x, y, nx, ny, length in zip(*segments):
        facing = DIRECTION[0] * nx + DIRECTION[1] * ny
        lit = facing < 0.0
        slope = 2.0 * 1j * WAVENUMBER * facing * incident(x, y) if lit else 0.0
        sources.append(slope * length)
    return sources


def distance(x, y, xs, ys):
    """How far the observer at (x, y) is from the source at (xs, ys)."""
    return math.sqrt((x - xs) ** 2 + (y - ys) ** 2)


def greens(r):
    """The free-space Green's function of the 2-D Helmholtz equation at distance r."""
    return 0.25j * hankel1(0, WAVENUMBER * r)


def inside(x, y, segments):
    """Whether (x, y) lies in the obstacle: does the contour wind around it?"""
    xs, ys, nx, ny, length = segments
    winding = 0.0
    for i in range(len(xs)):
        rx, ry = xs[i] - x, ys[i] - y
        winding += length[i] * (rx * nx[i] + ry * ny[i]) / (rx * rx + ry * ry + 1e-30)
    return winding > math.pi


def field_at_point(x, y, segments, sources):
    """The total field, incident and scattered, at (x, y)."""
    xs, ys = segments[0], segments[1]
    scattered = 0.0
    for i in range(len(sources)):
        if sources[i] != 0.0:
            scattered -= greens(distance(x, y, xs[i], ys[i])) * sources[i]
    return incident(x, y) + scattered


def field(nx, ny, segments, sources):
    """The total field on a grid of nx by ny observers; zero in the obstacle."""
    result = numpy.zeros((ny, nx), dtype=complex)
    for row, y in enumerate(numpy.linspace(-HALF_WIDTH, HALF_WIDTH, ny)):
        for column, x in enumerate(numpy.linspace(-HALF_WIDTH, HALF_WIDTH, nx)):
            if not inside(x, y, segments):
                result[row, column] = field_at_point(x, y, segments, sources)
    return result


def checksum(values):
    """One number that changes when the field does: the sum of |u| weighted by position."""
    weights = 1.0 + numpy.arange(values.size) % 7
    return float(numpy.sum(numpy.abs(values).ravel() * weights))


def positive(text):
    """A count of at least one, from the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def parse_arguments():
    parser = argparse.ArgumentParser(description="The field scattered by a 2-D obstacle.")
    parser.add_argument("-nx", type=positive, default=60, help="observers across (default 60)")
    parser.add_argument("-ny", type=positive, default=60, help="observers up (default 60)")
    parser.add_argument("-nc", type=positive, default=1000, help="segments of the contour (default 1000)")
    parser.add_argument("-checksum", action="store_true", help="print one number to compare runs by")
    parser.add_argument("-save", metavar="FILE.npy", help="write the complex field to a file")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    segments = contour(arguments.nc)
    sources = surface_sources(segments)
    total = field(arguments.nx, arguments.ny, segments, sources)
    if arguments.save:
        numpy.save(arguments.save, total)
    if arguments.checksum:
        # Eight digits: the last ones of a Hankel function differ between versions of scipy.
        print("%.8g" % checksum(total))


if __name__ == "__main__":
    main()
