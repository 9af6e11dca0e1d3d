package suite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"pgws/internal/bench"
)

// The report is the page, with the charts; it is drawn from the results.
const (
	resultsFile = "results.json"
	pageFile    = "README.md"
)

// Results are all that a suite has found.
type Results struct {
	About About `json:"about"`
	Runs  []Run `json:"runs"`
}

// About says what was measured, and where.
type About struct {
	Server  string  `json:"server"`
	Command string  `json:"command"`
	Date    string  `json:"date"`
	Quick   bool    `json:"quick,omitempty"`
	Planned int     `json:"planned,omitempty"` // runs, when the suite was interrupted before the last
	Machine Machine `json:"machine"`
}

// A Run is one measurement: it has a report, an error, or the reason why it was not made.
type Run struct {
	Group    string          `json:"group"`
	Series   string          `json:"series"`
	Name     string          `json:"name"`
	Settings json.RawMessage `json:"settings"` // the fields of the bench.Measurement
	Report   *bench.Report   `json:"report,omitempty"`
	Error    string          `json:"error,omitempty"`
	LeftOut  string          `json:"left_out,omitempty"`
}

// Load reads what Write has written, to draw the report again.
func Load(dir string) (*Results, error) {
	content, err := os.ReadFile(filepath.Join(dir, resultsFile))
	if err != nil {
		return nil, fmt.Errorf("suite: results: %w", err)
	}
	var r Results
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, fmt.Errorf("suite: results: %s: %w", resultsFile, err)
	}
	return &r, nil
}

// mayReplace says whether a report may be written into a folder. It replaces a report, never a page that is none; and a
// quick one, which says nothing, does not replace one that took long.
func mayReplace(dir string, quick bool) error {
	old, err := Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		page := filepath.Join(dir, pageFile)
		switch _, err := os.Lstat(page); {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("suite: a report there before: %w", err)
		}
		return fmt.Errorf("suite: %s is not of a report, since no %s is beside it: it is not replaced", page, resultsFile)
	}
	if err != nil {
		return err
	}
	name := filepath.Join(dir, resultsFile)
	if len(old.Runs) == 0 {
		return fmt.Errorf("suite: %s has no runs and so is not of a report: it is not replaced", name)
	}
	if quick && !old.About.Quick {
		return fmt.Errorf("suite: %s is of a full report: a quick one does not replace it", name)
	}
	return nil
}

// Write writes the results into a folder, and the report that is drawn from them: README.md and the charts. Notes that
// people have written there, in the folder notes, go into the page.
func (r *Results) Write(dir string) error {
	if err := mayReplace(dir, r.About.Quick); err != nil {
		return err
	}
	raw, err := r.encode()
	if err != nil {
		return fmt.Errorf("suite: results: %w", err)
	}
	notes := os.DirFS(filepath.Join(dir, notesFolder))
	page, err := r.markdown(notes)
	if err != nil {
		return err
	}
	files := map[string][]byte{resultsFile: raw, pageFile: page}
	for _, f := range figures {
		if c := f.draw(r); len(c.Series) > 0 {
			files[f.file+".svg"] = c.SVG()
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // The report is for everyone, as all of docs is.
		return fmt.Errorf("suite: %w", err)
	}
	// The results come first: by them the page is known as ours when the rest could not be written.
	for _, name := range append([]string{resultsFile}, slices.Sorted(maps.Keys(files))...) {
		err := os.WriteFile(filepath.Join(dir, name), files[name], 0o644) //nolint:gosec // The same.
		if err != nil {
			return fmt.Errorf("suite: %w", err)
		}
	}
	return nil
}

// encode writes JSON with a line for each run, so that version control shows the runs that differ.
func (r *Results) encode() ([]byte, error) {
	about, err := json.MarshalIndent(r.About, "", "\t")
	if err != nil {
		return nil, err
	}
	runs := make([][]byte, len(r.Runs))
	for i, run := range r.Runs {
		if runs[i], err = json.Marshal(run); err != nil {
			return nil, err
		}
	}
	return fmt.Appendf(nil, "{\"about\": %s,\n\"runs\": [\n%s\n]}\n", about, bytes.Join(runs, []byte(",\n"))), nil
}

// failure joins the errors of all runs.
func (r *Results) failure() error {
	var errs []error
	for _, run := range r.Runs {
		if run.Error != "" {
			errs = append(errs, fmt.Errorf("suite: %s: %s", run.Name, run.Error))
		}
	}
	return errors.Join(errs...)
}

// units are what figures are measured in, as parts of the units in which values are drawn and compared.
var units = map[string]struct {
	factor float64
	base   string
}{
	"µs":  {1e-6, "s"},
	"ms":  {1e-3, "s"},
	"MiB": {1 << 20, "B"},
}

// value returns a figure of a report in its base unit.
func value(report *bench.Report, name string) (value float64, unit string, ok bool) {
	if report == nil {
		return 0, "", false
	}
	for _, f := range report.Figures {
		if f.Name == name {
			if u, ok := units[f.Unit]; ok {
				return f.Value * u.factor, u.base, true
			}
			return f.Value, f.Unit, true
		}
	}
	return 0, "", false
}

// values returns a figure of all runs of a series, the least first.
func (r *Results) values(group, series, figure string) (values []float64, unit string) {
	for _, run := range r.Runs {
		if run.Group == group && run.Series == series {
			if v, u, ok := value(run.Report, figure); ok {
				values, unit = append(values, v), u
			}
		}
	}
	slices.Sort(values)
	return values, unit
}

// median returns the middle of sorted values, of which there is one at least.
func median(sorted []float64) float64 {
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
