/* Runs the network that c_program.py wrote as wave.h. */
#include "wave.h"
#include <stdio.h>

int main(void)
{
    float x[WAVE_INPUTS], y[WAVE_OUTPUTS], scratch[WAVE_SCRATCH];
    for (int i = 0; i < 4; i++) {
        x[0] = (float)i;
        wave_predict(x, y, scratch);
        printf("%.4f\n", (double)y[0]);
    }
    return 0;
}
