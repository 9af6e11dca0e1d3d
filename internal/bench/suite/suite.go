// Package suite runs all measurements of package bench and writes a report of them: a page in Markdown with charts, and
// what it was made from, so that it can be drawn again. The plan (plan.go), the table (headline.go) and the charts
// (charts.go) are data. One goroutine does all.
package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pgws/internal/bench"
)

// DefaultTimeout is longer than any measurement of the plan takes. Only one that hangs meets it.
const DefaultTimeout = 2 * time.Minute

// A Suite measures a server and reports.
type Suite struct {
	// Dir is where the report goes. One that is there is replaced, unless this one is quick and that one is not.
	Dir string
	// Quick makes everything so small that the figures mean nothing: it shows that all runs.
	Quick bool
	// Timeout is how long one run may take; 0 means DefaultTimeout.
	Timeout time.Duration
	// Server says what is measured, such as "pgws 1.4.0".
	Server string
	// Command is how to repeat it.
	Command string
	// Date is the day of the report.
	Date time.Time
	// Fresh starts a server, or names one that runs. The function that it returns ends what was started.
	Fresh func(context.Context) (*bench.Target, func() error, error)
	// Progress is told of each run as it begins, counted from 1. Nil: nothing is told.
	Progress func(run, runs int, name string)
}

// Run measures everything and writes the report. A run that fails, or that gets no server, is reported, there and by an
// error at the end, and does not keep the others from being made. When the context ends, the report has the runs before.
// Nothing is written when there was no server for any run, nor measured when the report may not be written.
func (s *Suite) Run(ctx context.Context) error {
	if err := mayReplace(s.Dir, s.Quick); err != nil {
		return err
	}
	results := &Results{About: About{
		Server: s.Server, Command: s.Command, Date: s.Date.Format(time.DateOnly), Quick: s.Quick, Machine: thisMachine(),
	}}
	var missing error // why there was no server, the first time
	served := false
	steps := plan(s.Quick)
	for i, step := range steps {
		if s.Progress != nil {
			s.Progress(i+1, len(steps), step.name)
		}
		run, err := s.run(ctx, step, &results.About.Machine)
		switch {
		case err != nil && ctx.Err() != nil:
			err = errors.Join(context.Cause(ctx), err)
			if !served {
				return err
			}
			results.About.Planned = len(steps)
			return errors.Join(err, results.Write(s.Dir))
		case err != nil:
			run.LeftOut, run.Error = "", oneLine(err)
			missing = cmp.Or(missing, fmt.Errorf("suite: %s: %w", step.name, err))
		case run.LeftOut == "" && needsServer(step.measurement):
			served = true
		}
		results.Runs = append(results.Runs, run)
	}
	if missing != nil && !served {
		return missing
	}
	if err := results.Write(s.Dir); err != nil {
		return err
	}
	return results.failure()
}

// run makes one run on a server of its own. Its error is that there was no server, or that the context has ended.
func (s *Suite) run(ctx context.Context, step step, machine *Machine) (Run, error) {
	run, err := step.run()
	if err != nil {
		return run, err
	}
	if step.files > machine.OpenFiles && machine.OpenFiles > 0 {
		run.LeftOut = fmt.Sprintf("it needs %d open files, and this process may have %d", step.files, machine.OpenFiles)
		return run, nil
	}
	target, stop, err := s.server(ctx, step.measurement)
	if err != nil {
		return run, fmt.Errorf("start a server: %w", err)
	}
	if machine.PostgreSQL == "" && target.Database != "" {
		if machine.PostgreSQL, err = postgresVersion(ctx, target.Database); err != nil {
			return run, errors.Join(err, stop())
		}
	}
	if files := openFiles(target.PID); target.PID != 0 && files > 0 && step.files > files {
		run.LeftOut = fmt.Sprintf("it needs %d open files, and the server may have %d", step.files, files)
		return run, stop()
	}
	run.Report, err = s.measure(ctx, step.measurement, target)
	err = errors.Join(err, stop())
	if err != nil && ctx.Err() != nil {
		return run, err
	}
	if err != nil {
		run.Report, run.Error = nil, oneLine(err)
	}
	return run, nil
}

// server is what a measurement measures.
func (s *Suite) server(ctx context.Context, m bench.Measurement) (*bench.Target, func() error, error) {
	if !needsServer(m) {
		return &bench.Target{}, func() error { return nil }, nil
	}
	return s.Fresh(ctx)
}

// needsServer is true for all but the floor, which is this machine's.
func needsServer(m bench.Measurement) bool {
	_, isFloor := m.(*bench.Floor)
	return !isFloor
}

// oneLine is how an error stands in a list.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

func (s *Suite) measure(ctx context.Context, m bench.Measurement, t *bench.Target) (*bench.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, DefaultTimeout))
	defer cancel()
	return m.Measure(ctx, t)
}
