/* The kernels of plain.py in C, to the bit: one pass over the joints each, and no arrays in between.
 *
 * What is not a row of doubles as the runtime makes them (another type, strides, another length) is handed
 * on to plain.py, so that there is one place to say what it means. Compiled without contraction of products
 * and sums, which would round otherwise. */

#define PY_SSIZE_T_CLEAN
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <Python.h>
#include <math.h>
#include <numpy/arrayobject.h>
#include <string.h>

enum { /* rows of the limits, as in plain.py */
    MIDDLE, COAST, SENT, STRAIGHT, REACH, PUSH, STEP, LEAP, LEAD, RATE, SPEED, JERK, PAST, PAST1, PAST2, ROWS
};
static const double FARTHEST = 1e150, SHORTEST = 0.98, LONGEST = 1.02;

static PyObject *plain; /* the module */

static PyObject *in_numpy(const char *kernel, PyObject *const *args, Py_ssize_t count)
{
    PyObject *call = PyObject_GetAttrString(plain, kernel), *given, *answer = NULL;
    if (call == NULL)
        return NULL;
    given = PyTuple_New(count);
    if (given != NULL) {
        for (Py_ssize_t n = 0; n < count; n++) {
            Py_INCREF(args[n]);
            PyTuple_SET_ITEM(given, n, args[n]);
        }
        answer = PyObject_Call(call, given, NULL);
        Py_DECREF(given);
    }
    Py_DECREF(call);
    return answer;
}

/* Whether it is an array of this type and so many axes, in one piece. */
static int is(PyObject *object, int type, int axes)
{
    PyArrayObject *array = (PyArrayObject *)object;
    return PyArray_Check(object) && PyArray_TYPE(array) == type && PyArray_NDIM(array) == axes &&
           PyArray_ISCARRAY_RO(array);
}

/* The numbers of a row of so many doubles (any, if < 0), or NULL. */
static double *row(PyObject *object, Py_ssize_t length)
{
    if (!is(object, NPY_DOUBLE, 1) || (length >= 0 && PyArray_DIM((PyArrayObject *)object, 0) != length))
        return NULL;
    return PyArray_DATA((PyArrayObject *)object);
}

static Py_ssize_t length_of(PyObject *array) { return PyArray_DIM((PyArrayObject *)array, 0); }

/* Whether it is a float, which is then there. */
static int number(PyObject *object, double *value)
{
    *value = PyFloat_Check(object) ? PyFloat_AS_DOUBLE(object) : 0.0;
    return PyFloat_Check(object);
}

static int all_finite(const double *numbers, Py_ssize_t count)
{
    int all = 1;
    for (Py_ssize_t n = 0; n < count; n++)
        all &= isfinite(numbers[n]) != 0;
    return all;
}

static PyObject *kernel_constant(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    for (Py_ssize_t n = 0; n < count; n++) {
        PyArrayObject *array = (PyArrayObject *)args[n];
        if (!PyArray_Check(args[n]))
            return in_numpy("constant", args, count);
        if (PyArray_ISWRITEABLE(array) || !PyArray_CHKFLAGS(array, NPY_ARRAY_OWNDATA))
            Py_RETURN_FALSE;
    }
    Py_RETURN_TRUE;
}

static PyObject *kernel_finite(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    for (Py_ssize_t n = 0; n < count; n++) {
        PyArrayObject *array = (PyArrayObject *)args[n];
        if (!PyArray_Check(args[n]) || PyArray_TYPE(array) != NPY_DOUBLE || !PyArray_ISCARRAY_RO(array))
            return in_numpy("finite", args, count);
        if (!all_finite(PyArray_DATA(array), PyArray_SIZE(array)))
            Py_RETURN_FALSE;
    }
    Py_RETURN_TRUE;
}

static PyObject *kernel_steady(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    double *pos, *vel, *turning, *gravity, upright, calm;
    if (count != 6 || !(pos = row(args[0], -1)) || !(vel = row(args[1], -1)) ||
        !(turning = row(args[2], -1)) || !(gravity = row(args[3], 3)) || !number(args[4], &upright) ||
        !number(args[5], &calm))
        return in_numpy("steady", args, count);
    double length = gravity[0] * gravity[0] + gravity[1] * gravity[1] + gravity[2] * gravity[2];
    int good = SHORTEST <= length && length <= LONGEST && -gravity[2] >= upright &&
               all_finite(pos, length_of(args[0])) && all_finite(turning, length_of(args[2]));
    for (Py_ssize_t n = 0; n < length_of(args[1]); n++)
        good &= isfinite(vel[n]) && fabs(vel[n]) <= calm;
    return PyBool_FromLong(good);
}

/* As numpy's minimum and maximum: what is not a number stays so. */
static float clipped(float value, float most)
{
    value = value >= -most || value != value ? value : -most;
    return value <= most || value != value ? value : most;
}

/* Put a term where it is felt; how many numbers it has, or -1 if it is of another kind or too long. */
static Py_ssize_t felt(PyObject *term, double *to, Py_ssize_t room)
{
    Py_ssize_t size;
    if (is(term, NPY_DOUBLE, 1)) {
        if ((size = length_of(term)) <= room)
            memcpy(to, PyArray_DATA((PyArrayObject *)term), size * sizeof *to);
    } else if (is(term, NPY_FLOAT, 1)) {
        const float *from = PyArray_DATA((PyArrayObject *)term);
        if ((size = length_of(term)) <= room)
            for (Py_ssize_t n = 0; n < size; n++)
                to[n] = from[n];
    } else if (PyTuple_Check(term)) {
        if ((size = PyTuple_GET_SIZE(term)) <= room)
            for (Py_ssize_t n = 0; n < size; n++)
                if (!number(PyTuple_GET_ITEM(term, n), &to[n]))
                    return -1;
    } else
        return -1;
    return size <= room ? size : -1;
}

static PyObject *kernel_feel(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    enum { MANY = 1024 };
    double now[MANY];
    Py_ssize_t size, filled = 0;
    if (count != 4 || !is(args[0], NPY_FLOAT, 2) || !PyArray_ISWRITEABLE((PyArrayObject *)args[0]) ||
        !PyTuple_Check(args[1]) || !is(args[2], NPY_DOUBLE, 2) || !is(args[3], NPY_FLOAT, 1))
        return in_numpy("feel", args, count);
    PyArrayObject *history = (PyArrayObject *)args[0], *unit = (PyArrayObject *)args[2];
    size = PyArray_DIM(history, 1);
    if (size > MANY || PyArray_DIM(unit, 0) != 3 || PyArray_DIM(unit, 1) != size ||
        length_of(args[3]) != size || PyArray_DIM(history, 0) < 1)
        return in_numpy("feel", args, count);
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(args[1]); n++) {
        Py_ssize_t more = felt(PyTuple_GET_ITEM(args[1], n), now + filled, size - filled);
        if (more < 0)
            return in_numpy("feel", args, count);
        filled += more;
    }
    if (filled != size)
        return in_numpy("feel", args, count);
    float *oldest = PyArray_DATA(history), *newest = oldest + (PyArray_DIM(history, 0) - 1) * size;
    const double *less = PyArray_DATA(unit), *by = less + size, *times = by + size;
    const float *most = PyArray_DATA((PyArrayObject *)args[3]);
    memmove(oldest, oldest + size, (char *)newest - (char *)oldest);
    for (Py_ssize_t n = 0; n < size; n++)
        newest[n] = clipped((float)((now[n] - less[n]) / by[n] * times[n]), most[n]);
    Py_RETURN_NONE;
}

static PyObject *kernel_plan(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !is(args[0], NPY_FLOAT, 2))
        return in_numpy("plan", args, count);
    PyArrayObject *actions = (PyArrayObject *)args[0];
    Py_ssize_t rows = PyArray_DIM(actions, 0), joints = PyArray_DIM(actions, 1);
    double *middle = row(args[1], joints), *scale = row(args[2], joints);
    if (middle == NULL || scale == NULL)
        return in_numpy("plan", args, count);
    PyArrayObject *made = (PyArrayObject *)PyArray_SimpleNew(2, PyArray_DIMS(actions), NPY_DOUBLE);
    if (made == NULL)
        return NULL;
    const float *action = PyArray_DATA(actions);
    double *to = PyArray_DATA(made);
    for (Py_ssize_t n = 0; n < rows; n++)
        for (Py_ssize_t joint = 0; joint < joints; joint++)
            *to++ = middle[joint] + scale[joint] * *action++;
    return (PyObject *)made;
}

static PyObject *kernel_between(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    double fraction, *before, *after;
    if (count != 3 || !(before = row(args[0], -1)) || !(after = row(args[1], length_of(args[0]))) ||
        !number(args[2], &fraction))
        return in_numpy("between", args, count);
    PyArrayObject *made =
        (PyArrayObject *)PyArray_SimpleNew(1, PyArray_DIMS((PyArrayObject *)args[0]), NPY_DOUBLE);
    if (made == NULL)
        return NULL;
    double *to = PyArray_DATA(made);
    for (Py_ssize_t joint = 0; joint < PyArray_DIM(made, 0); joint++)
        to[joint] = before[joint] + fraction * (after[joint] - before[joint]);
    return (PyObject *)made;
}

/* See plain.py. */
static void parabola(double h, double h1, double h2, double way[4])
{
    if (!(h > 0.0)) {
        way[0] = 1.0;
        way[1] = way[2] = way[3] = 0.0;
        return;
    }
    h1 = h1 != 0.0 ? h1 : h;
    h2 = h2 != 0.0 ? h2 : h1;
    double two = h + h1, three = h + h1 + h2;
    way[0] = two * three / (h1 * (h1 + h2));
    way[1] = -h * three / (h1 * h2);
    way[2] = h * two / (h2 * (h1 + h2));
    way[3] = h * two * three / 6;
}

static PyObject *kernel_passes(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    double *wanted, *pos, *vel, h, h1, h2, way[4], *limit[ROWS];
    if (count != 7 || !is(args[0], NPY_DOUBLE, 2) || PyArray_DIM((PyArrayObject *)args[0], 0) != ROWS ||
        !PyArray_ISWRITEABLE((PyArrayObject *)args[0]))
        return in_numpy("passes", args, count);
    Py_ssize_t joints = PyArray_DIM((PyArrayObject *)args[0], 1);
    if (!(wanted = row(args[1], joints)) || !(pos = row(args[2], joints)) || !(vel = row(args[3], joints)) ||
        !number(args[4], &h) || !number(args[5], &h1) || !number(args[6], &h2))
        return in_numpy("passes", args, count);
    parabola(h, h1, h2, way);
    for (int n = 0; n < ROWS; n++)
        limit[n] = (double *)PyArray_DATA((PyArrayObject *)args[0]) + n * joints;
    int within = 1; /* positively: what is not a number is not within */
    for (Py_ssize_t n = 0; n < joints; n++) {
        double coast = limit[LEAD][n] * vel[n] + pos[n];
        double straight = way[0] * limit[PAST][n] + way[1] * limit[PAST1][n] + way[2] * limit[PAST2][n];
        within &= (fabs(wanted[n] - limit[MIDDLE][n]) <= limit[REACH][n]) &
                  (fabs(wanted[n] - coast) <= limit[PUSH][n]) &
                  (fabs(wanted[n] - limit[SENT][n]) <= limit[RATE][n] * h) &
                  (fabs(wanted[n] - straight) <= limit[JERK][n] * way[3]) &
                  (fabs(vel[n]) <= limit[SPEED][n]) & (fabs(pos[n]) <= FARTHEST);
    }
    if (!within)
        Py_RETURN_FALSE;
    size_t size = joints * sizeof(double);
    if (h > 0.0)
        memmove(limit[PAST1], limit[PAST], 2 * size);
    memcpy(limit[PAST], wanted, size);
    memcpy(limit[SENT], wanted, size);
    Py_RETURN_TRUE;
}

#define KERNEL(name) \
    {#name, (PyCFunction)(void (*)(void))kernel_##name, METH_FASTCALL, "See rmedge.kernels.plain."}
static PyMethodDef kernels[] = {
    KERNEL(between), KERNEL(constant), KERNEL(feel), KERNEL(finite),
    KERNEL(passes),  KERNEL(plan),     KERNEL(steady), {NULL},
};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "compiled", "The kernels of rmedge.kernels.plain, in C.", -1, kernels,
};

PyMODINIT_FUNC PyInit_compiled(void)
{
    import_array();
    plain = PyImport_ImportModule("rmedge.kernels.plain");
    return plain == NULL ? NULL : PyModule_Create(&module);
}
