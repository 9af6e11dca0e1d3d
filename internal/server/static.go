package server

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
)

// Files serves the files of a folder, index.html for the folder itself and
// those below it. It lists no folders.
func Files(root string) http.Handler {
	files := http.FileServerFS(unlisted{os.DirFS(root)})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		files.ServeHTTP(w, r)
	})
}

// unlisted hides folders that have no index.html.
type unlisted struct{ fs.FS }

func (u unlisted) Open(name string) (fs.File, error) {
	if strings.Contains(name, "\x00") { // no system has such a file, and some call it an error of another kind
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	file, err := u.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		_, err = fs.Stat(u.FS, path.Join(name, "index.html"))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
