/* An OpenCL layer that makes the devices of Intel's OpenCL runtime for CPUs look like GPUs, for OpenVINO's GPU plugin.

   OpenCL's loader loads the library that the variable OPENCL_LAYERS names, asks it for a table of functions and puts
   them in front of its own. Where the table has NULL, or ends, the loader's own function stays.
   https://github.com/KhronosGroup/OpenCL-ICD-Loader#about-layers

   The types and numbers are those of OpenCL's headers, written out so that they need not be installed. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SUCCESS 0
#define INVALID_VALUE (-30)

/* clGetDeviceInfo's questions: cl.h, then the extension cl_intel_device_attribute_query. */
#define DEVICE_TYPE 0x1000
#define DEVICE_EXTENSIONS 0x1030
#define DEVICE_IP_VERSION 0x4250

/* clGetLayerInfo's question and answer: cl_layer.h. */
#define LAYER_API_VERSION 0x4240
#define LAYER_API_VERSION_100 100

/* Places in the table: cl_icd.h. */
#define GET_DEVICE_INFO 3
#define RELEASE_PROGRAM 29

typedef void (*function)(void);
typedef int32_t get_device_info_function(void *device, uint32_t question, size_t size, void *value, size_t *size_needed);

static get_device_info_function *loader_get_device_info;

/* What every clGet...Info does with its answer. */
static int32_t answer(const void *data, size_t data_size, size_t size, void *value, size_t *size_needed)
{
    if (size_needed)
        *size_needed = data_size;
    if (!value)
        return SUCCESS;
    if (size < data_size)
        return INVALID_VALUE;
    memcpy(value, data, data_size);
    return SUCCESS;
}

static int32_t get_device_info(void *device, uint32_t question, size_t size, void *value, size_t *size_needed)
{
    const uint64_t gpu = 4;
    const uint32_t skylake = 9 << 22 | 9; /* 9.0.9 */

    switch (question) {
    case DEVICE_TYPE:
        return answer(&gpu, sizeof gpu, size, value, size_needed);
    case DEVICE_IP_VERSION:
        /* One that the plugin's oneDNN knows, but has no machine code for, which could not run here. */
        return answer(&skylake, sizeof skylake, size, value, size_needed);
    case DEVICE_EXTENSIONS: {
        /* Without subgroups the plugin takes its reference kernels. The others compute wrong values here. */
        char all[8192], kept[sizeof all + 1] = "";
        int32_t error = loader_get_device_info(device, question, sizeof all, all, NULL);
        if (error != SUCCESS)
            return error;
        for (char *rest, *name = strtok_r(all, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
            if (!strstr(name, "subgroup"))
                strcat(strcat(kept, name), " ");
        return answer(kept, strlen(kept) + 1, size, value, size_needed);
    }
    default:
        return loader_get_device_info(device, question, size, value, size_needed);
    }
}

/* The CPU runtime frees a program that still has kernels, which OpenCL forbids: keep every program. */
static int32_t release_program(void *program)
{
    (void)program;
    return SUCCESS;
}

int32_t clGetLayerInfo(uint32_t question, size_t size, void *value, size_t *size_needed)
{
    uint32_t version = LAYER_API_VERSION_100;
    if (question != LAYER_API_VERSION)
        return INVALID_VALUE;
    return answer(&version, sizeof version, size, value, size_needed);
}

int32_t clInitLayerWithProperties(uint32_t count, const function *loader_functions, uint32_t *own_count,
                                  const function **own_functions, const void *properties)
{
    (void)properties;
    static const function table[RELEASE_PROGRAM + 1] = {
        [GET_DEVICE_INFO] = (function)get_device_info,
        [RELEASE_PROGRAM] = (function)release_program,
    };
    if (count <= RELEASE_PROGRAM)
        return INVALID_VALUE;
    loader_get_device_info = (get_device_info_function *)loader_functions[GET_DEVICE_INFO];
    *own_count = RELEASE_PROGRAM + 1;
    *own_functions = table;
    return SUCCESS;
}
