package main

import (
	"fmt"
	"image/color"
	"image/png"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// A figure is one image.
type figure struct {
	title  string
	about  string // beneath the title: what was done
	note   string // at the bottom
	panels []panel
}

// A panel is one pair of axes. It has either lines or bars.
type panel struct {
	title  string // above the axes, if there is more than one panel
	x, y   string // labels of the axes, with units
	logX   bool
	logY   bool
	xTicks []plot.Tick // where not the points' own values
	ticks  func(float64) string
	lines  []line
	groups []group
	digits int     // behind the point, of the figures at bars
	shown  []point // what the vertical axis must have room for besides
}

// A line has its name at its right end.
type line struct {
	name, server string
	dash         int
	points       []point
}

// A group of bars has one bar for each server.
type group struct {
	name string
	bars []bar
}

type bar struct {
	server string
	point
}

const (
	imageWidth  = 8.6 * vg.Inch
	imageHeight = 4.5 * vg.Inch
	imageDPI    = 180
	edge        = 14 // points
)

func colorOf(server string) color.Color {
	if server == ours {
		return color.RGBA{R: 0x1b, G: 0x5f, B: 0xb4, A: 0xff}
	}
	return color.RGBA{R: 0xd1, G: 0x66, B: 0x0a, A: 0xff}
}

func gray(level uint8) color.Color { return color.Gray{Y: level} }

func textStyle(size vg.Length, c color.Color, bold bool) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return text.Style{Color: c, Font: f, Handler: text.Plain{Fonts: font.DefaultCache}, YAlign: text.YCenter}
}

// write draws the image into a file.
func (f *figure) write(name string) error {
	img := vgimg.NewWith(vgimg.UseWH(imageWidth, imageHeight), vgimg.UseDPI(imageDPI))
	c := draw.New(img)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, edge, -edge, edge-4, -edge)

	title, about, note := textStyle(15, gray(0x18), true), textStyle(10, gray(0x50), false), textStyle(8, gray(0x70), false)
	room := c.Max.X - c.Min.X
	if width := note.Width(f.note); width > room { // some processors have long names
		note.Font.Size *= room / width
	}
	top := c.Max.Y - 6
	c.FillText(title, vg.Point{X: c.Min.X, Y: top}, f.title)
	c.FillText(about, vg.Point{X: c.Min.X, Y: top - 18}, f.about)
	c.FillText(note, vg.Point{X: c.Min.X, Y: c.Min.Y + 3}, f.note)
	for _, line := range []struct {
		style text.Style
		text  string
		room  vg.Length
	}{{title, f.title, room}, {about, f.about, room - f.legend(c, top-18)}} {
		if line.style.Width(line.text) > line.room {
			return fmt.Errorf("there is no room for: %s", line.text)
		}
	}
	head := vg.Length(42)
	if len(f.panels) > 1 {
		head = 44
	}
	area := draw.Crop(c, 0, 0, 18, -head)
	width := (area.Max.X - area.Min.X) / vg.Length(len(f.panels))
	for i := range f.panels {
		left := vg.Length(i) * width
		part := draw.Crop(area, left, left+width-(area.Max.X-area.Min.X), 0, 0)
		if i > 0 {
			part = draw.Crop(part, 12, 0, 0, 0)
		}
		f.panels[i].draw(part)
	}
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer out.Close()
	e := png.Encoder{CompressionLevel: png.BestCompression}
	if err := e.Encode(out, img.Image()); err != nil {
		return err
	}
	return out.Close()
}

// legend writes the servers' names in their colours at the right, unless lines have
// them at their ends. It returns how much room it has taken.
func (f *figure) legend(c draw.Canvas, y vg.Length) vg.Length {
	x := c.Max.X
	for _, server := range []string{theirs, ours} {
		if !f.panels[0].has(server) {
			continue
		}
		style := textStyle(10.5, colorOf(server), true)
		x -= style.Width(server)
		c.FillText(style, vg.Point{X: x, Y: y}, server)
		x -= 13
		square := vg.Rectangle{Min: vg.Point{X: x, Y: y - 6.5}, Max: vg.Point{X: x + 9, Y: y + 2.5}}
		c.SetColor(colorOf(server))
		c.Fill(square.Path())
		x -= 14
	}
	return c.Max.X - x
}

func (p *panel) has(server string) bool {
	return slices.ContainsFunc(p.groups, func(g group) bool {
		return slices.ContainsFunc(g.bars, func(b bar) bool { return b.server == server })
	})
}

// draw draws axes and what is in them.
func (p *panel) draw(c draw.Canvas) {
	pl := plot.New()
	pl.BackgroundColor = nil
	pl.Title.Text = p.title
	pl.Title.TextStyle = textStyle(10.5, gray(0x30), true)
	pl.Title.TextStyle.XAlign = text.XCenter
	pl.Title.Padding = 6
	styleAxis(&pl.X)
	styleAxis(&pl.Y)
	pl.X.Tick.Label.XAlign, pl.X.Tick.Label.YAlign = text.XCenter, text.YTop
	pl.Y.Tick.Label.XAlign, pl.Y.Tick.Label.YAlign = text.XRight, text.YCenter
	pl.Y.LineStyle.Width = 0
	pl.Y.Tick.LineStyle.Width = 0
	pl.Y.Min, pl.Y.Max = p.yRange()
	yTicks := linearTicks(pl.Y.Max, p.ticks)
	if p.logY {
		pl.Y.Scale = plot.LogScale{}
		yTicks = logTicks(pl.Y.Min, pl.Y.Max, p.ticks)
	} else {
		pl.Y.Max = max(pl.Y.Max, yTicks[len(yTicks)-1].Value)
	}
	pl.Y.Tick.Marker = plot.ConstantTicks(yTicks)
	pl.Add(grid{yTicks})
	if len(p.groups) > 0 {
		p.addBars(pl)
	} else {
		right := p.addLines(pl)
		c = draw.Crop(c, 0, -right, 0, 0)
	}
	inner := draw.Crop(c, labelRoom, 0, labelRoom, 0)
	pl.Draw(inner)
	// Not left to the library, which reckons with labels at the wrong end of a
	// logarithmic axis.
	data := pl.DataCanvas(inner)
	style := textStyle(9.5, gray(0x40), false)
	style.XAlign, style.YAlign = text.XCenter, text.YBottom
	c.FillText(style, vg.Point{X: (data.Min.X + data.Max.X) / 2, Y: c.Min.Y + 3}, p.x)
	style.Rotation, style.YAlign = math.Pi/2, text.YTop
	c.FillText(style, vg.Point{X: c.Min.X, Y: (data.Min.Y + data.Max.Y) / 2}, p.y)
}

// labelRoom is for the label of an axis.
const labelRoom = 18

func styleAxis(a *plot.Axis) {
	a.Tick.Label = textStyle(9, gray(0x40), false)
	a.LineStyle.Color = gray(0x90)
	a.Tick.LineStyle.Color = gray(0x90)
	a.Tick.Length = 3
	a.Padding = 0
}

// all yields all points of the panel.
func (p *panel) all() (list []point) {
	for _, l := range p.lines {
		list = append(list, l.points...)
	}
	for _, g := range p.groups {
		for _, b := range g.bars {
			list = append(list, b.point)
		}
	}
	return list
}

// yRange returns where the axis begins and ends.
func (p *panel) yRange() (lo, hi float64) {
	lo = math.Inf(1)
	for _, x := range append(p.all(), p.shown...) {
		lo, hi = min(lo, x.lo), max(hi, x.hi)
	}
	if p.logY {
		return floorLog(max(lo, hi/1e9)), hi * 1.25
	}
	if len(p.groups) > 0 {
		return 0, hi * 1.1
	}
	return 0, hi * 1.1
}

// floorLog returns the next lower of 1, 2, 5, 10, 20, ...
func floorLog(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, step := range []float64{5, 2, 1} {
		if x >= step*power {
			return step * power
		}
	}
	return power
}

// linearTicks returns at most seven round values from 0 to max.
func linearTicks(max float64, format func(float64) string) (ticks []plot.Tick) {
	power := math.Pow(10, math.Floor(math.Log10(max/6)))
	step := 10 * power
	for _, factor := range []float64{5, 2, 1} {
		if max/(factor*power) <= 6 {
			step = factor * power
		}
	}
	for i := 0; float64(i)*step <= max*1.001; i++ {
		ticks = append(ticks, plot.Tick{Value: float64(i) * step, Label: format(float64(i) * step)})
	}
	return ticks
}

// logTicks returns 1, 10, 100, ..., or 1, 2, 5, 10, ... if there are few of them.
func logTicks(lo, hi float64, format func(float64) string) (ticks []plot.Tick) {
	steps := []float64{1}
	if hi/lo < 300 {
		steps = []float64{1, 2, 5}
	}
	for power := math.Pow(10, math.Floor(math.Log10(lo))); power <= hi; power *= 10 {
		for _, s := range steps {
			if v := s * power; v >= lo*0.999 && v <= hi*1.001 {
				ticks = append(ticks, plot.Tick{Value: v, Label: format(v)})
			}
		}
	}
	return ticks
}

// grid is a thin line at each tick of the vertical axis.
type grid struct{ ticks []plot.Tick }

// Plot draws the lines.
func (g grid) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	for _, t := range g.ticks {
		c.StrokeLine2(draw.LineStyle{Color: gray(0xe4), Width: 0.6}, c.Min.X, y(t.Value), c.Max.X, y(t.Value))
	}
}

// addLines adds the lines and returns how much room their names need at the right.
func (p *panel) addLines(pl *plot.Plot) vg.Length {
	xs := map[float64]bool{}
	lo, hi := math.Inf(1), 0.0
	for _, x := range p.all() {
		xs[x.x] = true
		lo, hi = min(lo, x.x), max(hi, x.x)
	}
	pl.X.Min, pl.X.Max = lo, hi
	ticks := p.xTicks
	if ticks == nil {
		for x := range xs {
			ticks = append(ticks, plot.Tick{Value: x, Label: number(x)})
		}
	}
	if p.logX {
		pl.X.Scale = plot.LogScale{}
		pl.X.Min, pl.X.Max = lo/math.Pow(hi/lo, 0.03), hi*math.Pow(hi/lo, 0.02)
	} else if p.logY {
		pl.X.Min, pl.X.Max = lo-0.04*(hi-lo), hi+0.03*(hi-lo)
	}
	pl.X.Tick.Marker = plot.ConstantTicks(ticks)
	pl.Add(lines(p.lines))
	var right vg.Length
	for _, l := range p.lines {
		for part := range strings.SplitSeq(l.name, "\n") {
			style := textStyle(9.5, nil, true)
			right = max(right, style.Width(part)+10)
		}
	}
	return right
}

// lines draws lines, with their names at their right ends.
type lines []line

// Plot draws the lines.
func (list lines) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var ends []vg.Length
	for _, l := range list {
		style := draw.LineStyle{Color: colorOf(l.server), Width: 1.8}
		switch l.dash {
		case 1:
			style.Dashes = []vg.Length{6, 3}
		case 2:
			style.Dashes = []vg.Length{1.5, 2.5}
		}
		var path []vg.Point
		for _, pt := range l.points {
			at := vg.Point{X: x(pt.x), Y: y(pt.y)}
			path = append(path, at)
			if len(l.points) > 12 {
				continue
			}
			if pt.hi > pt.lo {
				spread := draw.LineStyle{Color: style.Color, Width: 0.8}
				c.StrokeLine2(spread, at.X, y(pt.lo), at.X, y(pt.hi))
			}
			c.DrawGlyph(draw.GlyphStyle{Color: style.Color, Radius: 2.8, Shape: draw.CircleGlyph{}}, at)
		}
		c.StrokeLines(style, path)
		ends = append(ends, path[len(path)-1].Y)
	}
	for i, at := range spread(ends, list.heights()) {
		l := list[i]
		style := textStyle(9.5, colorOf(l.server), true)
		parts := strings.Split(l.name, "\n")
		at += vg.Length(len(parts)-1)*nameHeight/2 + 1.3 // letters sit low in their line
		for j, part := range parts {
			c.FillText(style, vg.Point{X: x(l.points[len(l.points)-1].x) + 8, Y: at - vg.Length(j)*nameHeight}, part)
		}
	}
}

// nameHeight is from one line of text to the next.
const nameHeight = 11.5

// heights returns how much room the names need.
func (list lines) heights() (h []vg.Length) {
	for _, l := range list {
		h = append(h, vg.Length(strings.Count(l.name, "\n")+1)*nameHeight+2)
	}
	return h
}

// spread moves centres apart, no further than necessary, so that what has that
// height around each does not overlap. The order of those at the same place is
// that of the list, from the top.
func spread(centres, heights []vg.Length) []vg.Length {
	order := make([]int, len(centres))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case centres[a] > centres[b]:
			return -1
		case centres[a] < centres[b]:
			return 1
		}
		return 0
	})
	got := slices.Clone(centres)
	for range 200 { // each pass halves what is left
		for k := 1; k < len(order); k++ {
			upper, lower := order[k-1], order[k]
			if miss := (heights[upper]+heights[lower])/2 - (got[upper] - got[lower]); miss > 0 {
				got[upper] += miss / 2
				got[lower] -= miss / 2
			}
		}
	}
	return got
}

// addBars adds the groups of bars.
func (p *panel) addBars(pl *plot.Plot) {
	var ticks []plot.Tick
	for i, g := range p.groups {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: g.name})
	}
	pl.X.Min, pl.X.Max = -0.55, float64(len(p.groups))-0.45
	pl.X.Tick.Marker = plot.ConstantTicks(ticks)
	pl.X.Tick.LineStyle.Color = color.Transparent
	pl.Add(bars{p.groups, p.digits})
}

type bars struct {
	groups []group
	digits int
}

// Plot draws the bars, each with its figure above and a thin line from the lowest
// to the highest of the rounds.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, g := range b.groups {
		width := (x(1) - x(0)) * 0.78 / vg.Length(len(g.bars))
		left := x(float64(i)) - width*vg.Length(len(g.bars))/2
		for _, one := range g.bars {
			r := vg.Rectangle{
				Min: vg.Point{X: left + 1, Y: y(0)},
				Max: vg.Point{X: left + width - 1, Y: y(one.y)},
			}
			c.SetColor(colorOf(one.server))
			c.Fill(r.Path())
			middle := left + width/2
			top := y(one.y)
			if one.hi > one.lo {
				top = y(one.hi)
				c.StrokeLine2(draw.LineStyle{Color: gray(0x30), Width: 0.8}, middle, y(one.lo), middle, top)
			}
			style := textStyle(8.5, colorOf(one.server), true)
			style.XAlign, style.YAlign = text.XCenter, text.YBottom
			c.FillText(style, vg.Point{X: middle, Y: top + 2}, fixed(one.y, b.digits))
			left += width
		}
	}
}

// fixed returns x with so many digits behind the point, and commas.
func fixed(x float64, digits int) string {
	s := strconv.FormatFloat(x, 'f', digits, 64)
	whole, rest, found := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + rest
	}
	return whole
}

// number returns x with as many digits as it has, and commas.
func number(x float64) string {
	digits := 0
	for d := 1.0; digits < 6 && math.Abs(x*d-math.Round(x*d)) > 1e-6; d *= 10 {
		digits++
	}
	return fixed(x, digits)
}
